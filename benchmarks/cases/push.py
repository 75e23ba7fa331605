"""A push to many: how much one delivery costs, and for how long a broadcast holds the loop."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from benchmarks.bench import Bench
from benchmarks.load import LoadError, Target
from benchmarks.question import ask
from benchmarks.subject import Absent, Subject
from benchmarks.subjects import bare, firefly
from benchmarks.subjects.firefly import GROUP, LOGIN, TO_GROUP
from benchmarks.wire import BODY, datapack

__all__ = ["CASES", "BroadcastCase", "SliceCase"]

LONGEST_TURN = 7
PEER_BROADCAST = 2


def _to_everybody(subject: Subject, target: Target) -> Target:
    if subject is firefly.FIREFLY:
        return attrs.evolve(target, request=datapack(TO_GROUP), join=datapack(GROUP, b"-"))
    return attrs.evolve(target, request=datapack(PEER_BROADCAST), join=target.request)


@attrs.frozen
class BroadcastCase:
    """One message to everybody, again and again: the next when all have the last."""

    name: str
    title: str
    subjects: Sequence[Subject]
    sizes: Sequence[int]

    def run(self, bench: Bench) -> None:
        """Start each subject in each round."""
        for _ in range(bench.rounds):
            for subject in self.subjects:
                if not bench.wants(self.name, subject.name):
                    continue
                try:
                    self._measure(bench, subject)
                except (Absent, LoadError, RuntimeError, TimeoutError) as error:
                    bench.leave_out(self.name, subject.name, str(error))

    def _measure(self, bench: Bench, subject: Subject) -> None:
        for size in self.sizes:
            # A process for each size: connections of the last one would still be members.
            with subject.start(bench) as target:
                bench.load.probe(target)
                everybody = _to_everybody(subject, target)
                figures = bench.load.run("receive", everybody, connections=size, expect=size + 1, seconds=bench.seconds)
            deliveries = figures["answers"]
            values = {
                "rate": deliveries / figures["seconds"],
                "cpu_us": figures["cpu"][0] / max(1, deliveries) * 1e6,
                "p50_us": figures["latency_us"]["p50"],
                "p99_us": figures["latency_us"]["p99"],
            }
            bench.record(self.name, subject.name, f"to {size:,}", values)


@attrs.frozen
class SliceCase:
    """For how long a broadcast lets nobody else have the loop."""

    name: str = "broadcast-slice"
    title: str = "Longest turn of the loop during a broadcast"
    sizes: Sequence[int] = (1000, 5000)

    def run(self, bench: Bench) -> None:
        """Hold members, broadcast, and ask for the longest turn."""
        for _ in range(bench.rounds):
            for size in self.sizes:
                with firefly.FIREFLY.start(bench) as target:
                    bench.load.probe(target)
                    members = attrs.evolve(target, join=datapack(GROUP, b"-"))
                    with bench.load.hold(members, size):
                        longest = ask(target.port, datapack(LOGIN, b"-"), datapack(LONGEST_TURN, BODY))
                    bench.record(self.name, "Firefly", f"to {size:,}", {"longest_us": float(longest)})


CASES = (
    BroadcastCase(
        "broadcast",
        "One message to many",
        (bare.C_EPOLL, firefly.FIREFLY, bare.UVLOOP, bare.ASYNCIO, bare.GEVENT),
        (1000, 5000),
    ),
    SliceCase(),
)
