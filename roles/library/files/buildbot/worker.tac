# -*- python -*-
"""Starts a Buildbot worker; the worker.json beside this file says which, and the log goes to standard output, where systemd keeps it."""

import json
import os

import buildbot_worker.pb
from buildbot_worker.bot import Worker
from twisted.application import service
from twisted.application.internet import backoffPolicy

# A worker that waits to be registered tries again every few seconds. Buildbot's own policy goes up to a minute, twice in a row, has
# no option for it (`maxdelay` has no effect in 4.3), and looks the function up by this name.
buildbot_worker.pb.backoffPolicy = lambda: backoffPolicy(initialDelay=0.3, maxDelay=2.0)

here = os.path.abspath(os.path.dirname(__file__))
with open(os.path.join(here, "worker.json"), encoding="utf-8") as source:
    said = json.load(source)
with open(os.path.join(here, "password"), encoding="utf-8") as secret:
    password = secret.read().strip()

application = service.Application("buildbot-worker")
worker = Worker(
    said["master_host"],
    said["master_port"],
    said["name"],
    password,
    said["directory"],
    keepalive=60,  # seconds; a master that went away without a word is noticed
    umask=0o022,
)
worker.setServiceParent(application)
