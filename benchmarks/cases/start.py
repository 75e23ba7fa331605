"""How long things take until they are there: the import, the command line, a server, a cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from benchmarks.bench import Bench
from benchmarks.places import GAME, ROOT
from benchmarks.process import Process, free_port
from benchmarks.question import ask
from benchmarks.subjects.firefly import ROUTED_ECHO, SECRET, running
from benchmarks.wire import BODY, datapack

__all__ = ["CASES", "StartCase"]

TIMES = 3


def _timed(command: list[str | Path], bench: Bench) -> float:
    began = time.perf_counter()
    subprocess.run(
        [str(part) for part in command],
        check=True,
        capture_output=True,
        cwd=ROOT,
        preexec_fn=lambda: os.sched_setaffinity(0, bench.cores.server),
    )
    return time.perf_counter() - began


def _import(bench: Bench) -> float:
    with_it = min(_timed([sys.executable, "-c", "import firefly_core"], bench) for _ in range(TIMES))
    bare = min(_timed([sys.executable, "-c", "pass"], bench) for _ in range(TIMES))
    return with_it - bare


def _import_all(bench: Bench) -> float:
    words = "from firefly_core import command, remote, push, every, Refuse"
    with_it = min(_timed([sys.executable, "-c", words], bench) for _ in range(TIMES))
    bare = min(_timed([sys.executable, "-c", "pass"], bench) for _ in range(TIMES))
    return with_it - bare


def _help(bench: Bench) -> float:
    return min(_timed([Path(sys.executable).parent / "firefly-run", "--help"], bench) for _ in range(TIMES))


def _server(bench: Bench) -> float:
    began = time.perf_counter()
    with running(bench, "gate.toml", "gate"):
        return time.perf_counter() - began


def _cluster(bench: Bench) -> float:
    """Time a whole `firefly-run`, until a command has been to the node and back."""
    ports = {f"BENCH_{name}": str(free_port()) for name in ("TCP", "ROOT")}
    command = [sys.executable, "-m", "firefly_core.run", "-c", str(GAME / "routed.toml")]
    command += ["--set", "servers.world.replicas=1"]
    environment = {**ports, "FIREFLY_SECRET": SECRET}
    cores = bench.cores.server | bench.cores.back
    began = time.perf_counter()
    with Process("firefly-cluster", command, cores, environment=environment, folder=GAME) as cluster:
        cluster.wait_for_port(int(ports["BENCH_TCP"]))
        login, echo = datapack(2, b"-"), datapack(ROUTED_ECHO)
        while ask(int(ports["BENCH_TCP"]), login, echo) != BODY:
            cluster.check()
            time.sleep(0.01)
        return time.perf_counter() - began


WHAT: dict[str, Callable[[Bench], float]] = {
    "import": _import,
    "import of the decorators": _import_all,
    "--help": _help,
    "one server": _server,
    "gate and node, supervised": _cluster,
}


@attrs.frozen
class StartCase:
    """Seconds from nothing to ready."""

    name: str = "start"
    title: str = "Start to ready"

    def run(self, bench: Bench) -> None:
        """Time each thing in every round."""
        for _ in range(bench.rounds):
            for load, timed in WHAT.items():
                bench.record(self.name, "Firefly", load, {"seconds": timed(bench)})


CASES = (StartCase(),)
