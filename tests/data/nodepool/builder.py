"""The real nodepool-builder and the real `nodepool`, with a clock for tests.

    builder.py builder -c nodepool.yaml -f
    builder.py nodepool -c nodepool.yaml image-list

What is not as in `nodepool-builder` (nodepool 11.0.0):
- Of the drivers only `fake` is loaded; the others import the SDKs of their clouds (nodepool/driver/__init__.py, Drivers.load).
- The workers look more often (nodepool/builder.py, NodePoolBuilder.__init__: 60, 10 and 10 s), as nodepool's own tests have them
  (nodepool/tests/__init__.py, BuilderFixture); CLEANUP_INTERVAL=0 keeps the cleanup out.
- A build that says nothing is looked at every half second (nodepool/builder.py, BUILD_PROCESS_POLL_TIMEOUT: 30 s).
"""
import os
import sys
import warnings

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from nodepool import builder
from nodepool.driver import Drivers
from nodepool.driver.fake import FakeDriver

Drivers.drivers["fake"] = FakeDriver()
builder.BUILD_PROCESS_POLL_TIMEOUT = 500


class Builder(builder.NodePoolBuilder):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cleanup_interval = int(os.environ["CLEANUP_INTERVAL"])
        self.build_interval = self.upload_interval = 0.2


if __name__ == "__main__":
    program = sys.argv.pop(1)
    if program == "builder":
        builder.NodePoolBuilder = Builder
        from nodepool.cmd.builder import main
    else:
        from nodepool.cmd.nodepoolcmd import main
    sys.exit(main())
