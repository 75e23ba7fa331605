"""Cases with the closed loop of the load client: gate echo, WebSocket, typed payloads, blocking handlers, routing."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from benchmarks.bench import Bench
from benchmarks.load import LoadError
from benchmarks.subject import Absent, Subject
from benchmarks.subjects import bare, firefly, nodejs

__all__ = ["CASES", "EchoCase", "Shape"]


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
        """Start each subject in each round, and load it in every shape."""
        for _ in range(bench.rounds):
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
            for shape in self.shapes:
                figures = bench.load.run(
                    "echo",
                    target,
                    connections=shape.connections,
                    in_flight=shape.in_flight,
                    seconds=bench.seconds,
                )
                answers = figures["answers"]
                if not answers:
                    raise LoadError(f"no answer with {shape}")
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
