"""Loads a master's configuration and lets its REST API answer one request, as Buildbot does: prints what was done to it, and where."""

import json
import sys
import threading

from buildbot.config.master import FileLoader
from buildbot.www.rest import V2RootResource
from twisted.internet import reactor, threads

seen = []


class Request:
    channel = object()
    finished = False
    method = b"GET"

    def setHeader(self, name, value):
        seen.append([f"{name.decode()}: {value.decode()}", threading.current_thread() is threading.main_thread()])

    def write(self, data):
        seen.append([data.decode(), threading.current_thread() is threading.main_thread()])


def answer():
    done = threads.deferToThread(V2RootResource._write_json_data, Request(), json.JSONEncoder(), {"workers": [1, 2]})
    done.addCallback(lambda _: seen.append(["the end", True]))
    done.addErrback(lambda fault: seen.append([fault.getErrorMessage(), True]))
    done.addBoth(lambda _: reactor.stop())


FileLoader(sys.argv[1], "master.cfg").loadConfig()
reactor.callWhenRunning(answer)
reactor.run()
print(json.dumps(seen))
