"""Cases with the closed loop of the load client: gate echo, WebSocket, typed payloads, blocking handlers, routing."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from benchmarks.bench import Bench
from benchmarks.load import LoadError, Target
from benchmarks.subject import Subject
from benchmarks.subjects import bare, firefly, nodejs
from benchmarks.turns import FAILURES, TURNS, all_up, on_turn

__all__ = ["CASES", "EchoCase", "Shape"]

WARMUP = 0.15
"""Seconds before a measurement of a subject that has had its first turn."""


@attrs.frozen
class Shape:
    """So many connections with so many requests in flight on each."""

    connections: int
    in_flight: int

    def __str__(self) -> str:
        return f"{self.connections:,} x {self.in_flight}"


ONE, HUNDRED, THOUSAND, PIPELINED = Shape(1, 1), Shape(100, 1), Shape(1000, 1), Shape(100, 16)


@attrs.frozen
class EchoCase:
    """Every subject answers with what it was sent."""

    name: str
    title: str
    subjects: Sequence[Subject]
    shapes: Sequence[Shape]

    def run(self, bench: Bench) -> None:
        """Start all subjects in each round, and load them by turns in every shape."""
        for _ in range(bench.rounds):
            with all_up(bench, self.name, self.subjects) as here:
                for shape in self.shapes:
                    for turn in range(TURNS):
                        for subject, target in here:
                            self._measure(bench, subject, target, shape, first=turn == 0)

    def _measure(self, bench: Bench, subject: Subject, target: Target, shape: Shape, *, first: bool) -> None:
        """Load one subject while the others are stopped."""
        if not bench.wants(self.name, subject.name):
            return
        try:
            with on_turn(target):
                figures = bench.load.run(
                    "echo",
                    target if first else attrs.evolve(target, warmup=WARMUP),
                    connections=shape.connections,
                    in_flight=shape.in_flight,
                    seconds=bench.seconds / TURNS,
                )
            answers = figures["answers"]
            if not answers:
                raise LoadError(f"no answer with {shape}")
        except FAILURES as error:
            bench.leave_out(self.name, subject.name, str(error))
            return
        values = {
            "rate": answers / figures["seconds"],
            "cpu_us": figures["cpu"][0] / answers * 1e6,
            "p50_us": figures["latency_us"]["p50"],
            "p99_us": figures["latency_us"]["p99"],
            "max_us": figures["latency_us"]["max"],
            "uneven": figures["most"] / max(1, figures["least"]),
            "busy": figures["cpu"][0] / figures["seconds"],
        }
        if len(figures["cpu"]) > 1:
            values["back_cpu_us"] = figures["cpu"][1] / answers * 1e6
        bench.record(self.name, subject.name, str(shape), values)


CASES = (
    EchoCase(
        "gate-echo",
        "Gate echo, 64-byte bodies",
        (
            bare.C_EPOLL,
            firefly.FIREFLY,
            bare.UVLOOP,
            bare.UVLOOP_BATCH,
            bare.ASYNCIO,
            bare.GEVENT,
            nodejs.PINUS,
        ),
        (HUNDRED, THOUSAND, PIPELINED, ONE),
    ),
    EchoCase(
        "websocket-echo",
        "Gate echo over WebSocket",
        (firefly.FIREFLY_WEBSOCKET, nodejs.COLYSEUS),
        (HUNDRED, THOUSAND, PIPELINED),
    ),
    EchoCase("typed-echo", "A typed payload", (firefly.FIREFLY_TYPED, firefly.FIREFLY), (HUNDRED, PIPELINED)),
    EchoCase(
        "yielding-echo",
        "A handler that gives way once",
        (firefly.FIREFLY_YIELD, bare.GEVENT_YIELD),
        (HUNDRED, PIPELINED),
    ),
    EchoCase(
        "routed-echo",
        "Routed echo: client, gate, node, and back",
        (firefly.FIREFLY_ROUTED, firefly.FIREFLY_LOCAL, bare.GEVENT_ROUTED, nodejs.PINUS_ROUTED),
        (HUNDRED, PIPELINED),
    ),
)
