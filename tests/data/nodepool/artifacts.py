"""What Zuul's own code takes for images in the data that a job returns: JSON in, JSON out.

The condition on the metadata is that of zuul/driver/zuul/zuulreporter.py, ZuulReporter.reportImageBuilt (zuul 14.3.0), which cannot be imported
without all of Zuul; so are the three names read there and in zuul/scheduler.py, createImageBuildArtifact.
"""
import json
import sys

from zuul.lib.result_data import get_artifacts_from_result_data

images = []
for artifact in get_artifacts_from_result_data(json.load(sys.stdin)):
    if metadata := artifact.get("metadata"):
        if metadata.get("type") == "zuul_image":
            images.append({"url": artifact["url"], "format": metadata["format"], "md5sum": metadata.get("md5sum"), "sha256": metadata.get("sha256")})
print(json.dumps(images))
