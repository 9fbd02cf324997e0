# -*- python -*-
"""Starts the Buildbot worker of this directory; worker.json says whose it is, and the log goes to standard output."""

import json
import os

import buildbot_worker.pb
from buildbot_worker.bot import Worker
from twisted.application import service
from twisted.application.internet import backoffPolicy

# A worker that waits to be registered tries again every few seconds. Buildbot's own policy goes up to a minute, twice in a row, has
# no option for it (`maxdelay` is ignored since 1.1), and looks the function up by this name.
buildbot_worker.pb.backoffPolicy = lambda: backoffPolicy(initialDelay=0.3, maxDelay=2.0)

basedir = os.path.abspath(os.path.dirname(__file__))
with open(os.path.join(basedir, "worker.json"), encoding="utf-8") as source:
    said = json.load(source)
with open(said["password_file"], encoding="utf-8") as secret:
    password = secret.read().strip()

# note: this line is matched against to check that this is a worker directory; do not edit it.
application = service.Application('buildbot-worker')
worker = Worker(
    said["master_host"], said["master_port"], said["name"], password, basedir,
    keepalive=60,  # seconds; a master that went away is noticed within two of them
    umask=0o022,
)
worker.setServiceParent(application)
