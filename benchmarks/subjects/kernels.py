"""Run as a program: so many replicas of the server `world` of benchmarks/game/routed.toml, in one process."""

from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402

from firefly_core.kernel.config.cluster import load  # noqa: E402
from firefly_core.kernel.kernel import Kernel  # noqa: E402

if __name__ == "__main__":
    cluster = load(Path("routed.toml").resolve())
    secret = os.environ["FIREFLY_SECRET"].encode()
    kernels = [Kernel(cluster, "world", number, secret=secret) for number in range(1, int(sys.argv[1]) + 1)]
    for kernel in kernels:
        kernel.start()
    gevent.sleep(3600)
