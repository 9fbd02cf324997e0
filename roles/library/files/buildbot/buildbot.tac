# -*- python -*-
"""Starts the Buildbot master of this directory; the log goes to standard output, where systemd keeps it."""

import os

from buildbot.master import BuildMaster
from twisted.application import service

basedir = os.path.abspath(os.path.dirname(__file__))

# note: this line is matched against to check that this is a buildmaster directory; do not edit it.
application = service.Application('buildmaster')
master = BuildMaster(basedir, "master.cfg", 0o077)
master.setServiceParent(application)
