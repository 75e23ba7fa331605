"""Connections that say nothing: the memory of each, and the CPU of a server that has nothing to do."""

from __future__ import annotations

import time
from collections.abc import Sequence

import attrs

from benchmarks.bench import Bench
from benchmarks.load import LoadError
from benchmarks.process import cpu_seconds, memory
from benchmarks.subject import Absent, Subject
from benchmarks.subjects import bare, firefly, nodejs

__all__ = ["CASES", "IdleCase", "QuietCase"]

CONNECTIONS = 10_000
TLS_CONNECTIONS = 2000
"""Each costs client and server a millisecond to open."""
SETTLE = 1.0
WATCH = 3.0


@attrs.frozen
class IdleCase:
    """The process's own memory before and after so many connections were opened, logged in where there is a login."""

    name: str
    title: str
    subjects: Sequence[Subject]
    connections: int = CONNECTIONS

    def run(self, bench: Bench) -> None:
        """Measure each subject once: memory does not vary as time does."""
        for subject in self.subjects:
            if not bench.wants(self.name, subject.name):
                continue
            try:
                self._measure(bench, subject)
            except (Absent, LoadError, RuntimeError, TimeoutError) as error:
                bench.leave_out(self.name, subject.name, str(error))

    def _measure(self, bench: Bench, subject: Subject) -> None:
        with subject.start(bench) as target:
            bench.load.probe(target)
            time.sleep(SETTLE / 2)
            pid = target.watch[0]
            before = memory(pid)
            count = TLS_CONNECTIONS if target.tls else self.connections
            with bench.load.hold(target, count):
                time.sleep(SETTLE)
                each = (memory(pid) - before) / count
                began = cpu_seconds(pid)
                time.sleep(WATCH)
                busy = (cpu_seconds(pid) - began) / WATCH
        values = {"bytes": each, "busy_percent": busy * 100}
        bench.record(self.name, subject.name, f"{count:,} connections", values)


@attrs.frozen
class QuietCase:
    """A server without a single client."""

    name: str = "idle-server"
    title: str = "CPU of an idle server"

    def run(self, bench: Bench) -> None:
        """Look at each kind of server for a while."""
        for subject, load in ((firefly.FIREFLY, "gate"), (firefly.FIREFLY_ROUTED, "gate and node")):
            with subject.start(bench) as target:
                bench.load.probe(target)
                time.sleep(SETTLE)
                began = sum(cpu_seconds(pid) for pid in target.watch)
                time.sleep(WATCH)
                busy = (sum(cpu_seconds(pid) for pid in target.watch) - began) / WATCH
            bench.record(self.name, "Firefly", load, {"busy_percent": busy * 100})


CASES = (
    IdleCase(
        "idle-memory",
        "Memory of an idle connection",
        (
            firefly.FIREFLY,
            firefly.FIREFLY_WEBSOCKET,
            firefly.FIREFLY_TLS,
            bare.UVLOOP,
            bare.ASYNCIO,
            bare.GEVENT,
            nodejs.PINUS,
            nodejs.COLYSEUS_ROOM,
        ),
    ),
    QuietCase(),
)
