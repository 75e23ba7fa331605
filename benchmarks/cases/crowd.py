"""What many sessions and many nodes do to one message, who is served beside a client that floods, and connecting."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import attrs

from benchmarks.bench import Bench
from benchmarks.load import LoadError
from benchmarks.subject import Absent, Subject
from benchmarks.subjects import bare, firefly
from benchmarks.subjects.nodes import many_nodes

__all__ = ["CASES", "ConnectCase", "FloodCase", "NodesCase", "SessionsCase"]

ACTIVE = 100
FLOOD = 100_000


@attrs.frozen
class SessionsCase:
    """A hundred sessions are served while so many are there; the others say nothing."""

    name: str = "many-sessions"
    title: str = "The same load beside many idle sessions"
    sizes: Sequence[int] = (10, 100, 1000, 10_000)

    def run(self, bench: Bench) -> None:
        """Measure every size in every round, in one process."""
        for _ in range(bench.rounds):
            with firefly.FIREFLY.start(bench) as target:
                bench.load.probe(target)
                for size in self.sizes:
                    active = min(ACTIVE, size)
                    with ExitStack() as stack:
                        if size > active:
                            stack.enter_context(bench.load.hold(target, size - active))
                        figures = bench.load.run("echo", target, connections=active, seconds=bench.seconds)
                    values = {
                        "rate": figures["answers"] / figures["seconds"],
                        "cpu_us": figures["cpu"][0] / figures["answers"] * 1e6,
                    }
                    bench.record(self.name, "Firefly", f"{size:,} sessions", values)


@attrs.frozen
class NodesCase:
    """The gate's share of a routed echo while so many nodes are registered."""

    name: str = "many-nodes"
    title: str = "A routed echo with many nodes"
    sizes: Sequence[int] = (1, 10, 100)

    def run(self, bench: Bench) -> None:
        """The nodes of each size share one process."""
        for _ in range(bench.rounds):
            for size in self.sizes:
                with many_nodes(bench, size) as target:
                    bench.load.probe(target)
                    figures = bench.load.run("echo", target, connections=ACTIVE, seconds=bench.seconds)
                values = {
                    "rate": figures["answers"] / figures["seconds"],
                    "cpu_us": figures["cpu"][0] / figures["answers"] * 1e6,
                }
                bench.record(self.name, "Firefly", f"{size} nodes", values)


@attrs.frozen
class FloodCase:
    """Ninety-nine clients ask one thing at a time while another has 100,000 commands under way."""

    name: str
    title: str
    subjects: Sequence[Subject]

    def run(self, bench: Bench) -> None:
        """Start each subject in each round."""
        for _ in range(bench.rounds):
            for subject in self.subjects:
                if not bench.wants(self.name, subject.name):
                    continue
                try:
                    with subject.start(bench) as target:
                        bench.load.probe(target)
                        figures = bench.load.run("echo", target, connections=99, flood=FLOOD, seconds=bench.seconds)
                except (Absent, LoadError) as error:
                    bench.leave_out(self.name, subject.name, str(error))
                    continue
                values = {
                    "p99_us": figures["latency_us"]["p99"],
                    "max_us": figures["latency_us"]["max"],
                    "rate": figures["answers"] / figures["seconds"],
                    "flood_rate": figures["flood_answers"] / figures["seconds"],
                }
                bench.record(self.name, subject.name, "99 beside a flood", values)


@attrs.frozen
class ConnectCase:
    """Connect, one request answered (WebSocket: the upgrade), close; 64 at a time."""

    name: str
    title: str
    subjects: Sequence[Subject]

    def run(self, bench: Bench) -> None:
        """Start each subject in each round."""
        for _ in range(bench.rounds):
            for subject in self.subjects:
                if not bench.wants(self.name, subject.name):
                    continue
                try:
                    with subject.start(bench) as target:
                        bench.load.probe(target)
                        # Nobody logs in here: the first command is the login.
                        first = attrs.evolve(target, request=target.join or target.request, join=b"")
                        figures = bench.load.run("connect", first, in_flight=64, seconds=bench.seconds)
                except (Absent, LoadError) as error:
                    bench.leave_out(self.name, subject.name, str(error))
                    continue
                values = {
                    "rate": figures["answers"] / figures["seconds"],
                    "cpu_us": figures["cpu"][0] / max(1, figures["answers"]) * 1e6,
                    "p99_us": figures["latency_us"]["p99"],
                }
                bench.record(self.name, subject.name, "64 at a time", values)


CASES = (
    SessionsCase(),
    NodesCase(),
    FloodCase("flood", "Beside a client that pipelines 100,000 commands", (firefly.FIREFLY, bare.UVLOOP, bare.GEVENT)),
    ConnectCase(
        "connects",
        "Connections a second",
        (bare.C_EPOLL, firefly.FIREFLY, firefly.FIREFLY_WEBSOCKET, bare.UVLOOP, bare.GEVENT),
    ),
)
