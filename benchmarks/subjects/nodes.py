"""A gate with many nodes, which share one process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.load import Target
from benchmarks.places import GAME, HERE
from benchmarks.process import Process
from benchmarks.subjects.firefly import ROUTED_ECHO as COMMAND
from benchmarks.subjects.firefly import SECRET, datapack_target, running

__all__ = ["many_nodes"]


@contextmanager
def many_nodes(bench: Bench, count: int) -> Iterator[Target]:
    """Start them; give the gate's door."""
    with running(bench, "routed.toml", "gate") as here:
        environment = {f"BENCH_{name}": str(port) for name, port in here.ports.items()} | {"FIREFLY_SECRET": SECRET}
        command: list[str | Path] = [sys.executable, HERE / "subjects" / "kernels.py", str(count)]
        with Process("firefly-nodes", command, bench.cores.back, environment=environment, folder=GAME):
            yield datapack_target(here, COMMAND)
