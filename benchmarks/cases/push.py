"""A push to many: how much one delivery costs, and for how long a broadcast holds the loop."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from benchmarks.bench import Bench
from benchmarks.load import Target
from benchmarks.question import ask
from benchmarks.subject import Subject
from benchmarks.subjects import bare, firefly
from benchmarks.subjects.firefly import GROUP, LOGIN, TO_GROUP
from benchmarks.turns import FAILURES, TURNS, all_up, on_turn
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
        """Start all subjects for each size in each round, and have them tell everybody by turns."""
        for _ in range(bench.rounds):
            for size in self.sizes:
                with all_up(bench, self.name, self.subjects) as here:
                    for _ in range(TURNS):
                        for subject, target in here:
                            self._measure(bench, subject, _to_everybody(subject, target), size)

    def _measure(self, bench: Bench, subject: Subject, target: Target, size: int) -> None:
        """Load one subject while the others are stopped; who was there in its last turn leaves in the warm-up."""
        if not bench.wants(self.name, subject.name):
            return
        try:
            with on_turn(target):
                seconds = bench.seconds / TURNS
                figures = bench.load.run("receive", target, connections=size, expect=size + 1, seconds=seconds)
        except FAILURES as error:
            bench.leave_out(self.name, subject.name, str(error))
            return
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
