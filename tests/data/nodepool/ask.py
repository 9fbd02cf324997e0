"""Answers, by nodepool's own classes, what ZooKeeper holds of images: one line in, one JSON line out.

    states IMAGE    its builds, oldest first, each with its uploads
    build IMAGE     asks for a build, as `nodepool image-build` does
    pause IMAGE     no more builds, as `nodepool image-pause` does
"""
import json
import sys
import time
import warnings

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from nodepool.zk import ZooKeeperClient, zookeeper

servers, cert, key, ca = sys.argv[1:]
client = ZooKeeperClient(servers, tls_cert=cert, tls_key=key, tls_ca=ca)
client.connect()
zk = zookeeper.ZooKeeper(client, enable_cache=False)


def upload(it):
    return {"provider": it.provider_name, "state": it.state, "format": it.format, "external": it.external_name}


def states(image):
    builds = []
    # One that goes away meanwhile is none.
    there = [build for build in zk.getBuilds(image) if build is not None]
    for build in sorted(there, key=lambda it: it.state_time):
        uploads = [it for provider in zk.getBuildProviders(image, build.id) for it in zk.getUploads(image, build.id, provider)]
        builds.append({"id": build.id, "state": build.state, "formats": sorted(build.formats), "uploads": [upload(it) for it in uploads]})
    return builds


for line in sys.stdin:
    verb, image = line.split()
    if verb == "states":
        answer = states(image)
    elif verb == "build":
        # The request before is taken away a moment after its build is ready; until then another one is none.
        deadline = time.monotonic() + 30
        while zk.hasBuildRequest(image) and time.monotonic() < deadline:
            time.sleep(0.05)
        zk.submitBuildRequest(image)
        answer = None
    else:
        zk.setImagePaused(image, True)
        answer = None
    print(json.dumps(answer), flush=True)
