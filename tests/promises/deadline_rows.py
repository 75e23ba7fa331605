"""Rows A21 and A22: a deadline holds over every hop, and a call to nobody ends at once."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import gevent

from firefly_core import on_start, remote
from firefly_core.errors import CallError, CommandTimeout, DeadlineExceeded, Disconnected
from firefly_core.testing import InProcessCluster, World, virtual_time
from tests.promises.ledger import Outcome, Row

__all__ = ["ROWS"]

TOML = """
[firefly]
plugins = ["root", "node"]
[servers.hub.root]
listen = "tcp://127.0.0.1:10000"
[servers.middle.node]
roots = ["hub"]
[servers.far.node]
roots = ["hub"]
"""
DEADLINE = 1.0
WAITS = (0.0, 0.3, 0.98, 1.5, 5.0)


@on_start
def start(ctx: Any) -> None: ...


@attrs.define
class Seen:
    """What one call was seen to do."""

    deadline: float = 0.0
    started: list[int] = attrs.Factory(list)
    started_late: int = 0
    """Handlers that began after the deadline."""
    last_work: float = 0.0
    """When the last handler ended."""


class Chain:
    """A call from the hub to the middle, from there through the hub to the far server, and there once more inside."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seen = Seen()
        chain = self

        @remote("one", timeout=60.0)
        def one(ctx: Any, waits: list[float]) -> str:
            with chain.work(1):
                gevent.sleep(waits[0])
                return str(ctx.call("two", waits))

        @remote("two", timeout=60.0)
        def two(ctx: Any, waits: list[float]) -> str:
            with chain.work(2):
                gevent.sleep(waits[1])
                return str(ctx.call("three", waits))

        @remote("three", timeout=60.0)
        def three(ctx: Any, waits: list[float]) -> str:
            with chain.work(3):
                gevent.sleep(waits[2])
                return "value"

        self.handlers = {"hub": [start], "middle": [start, one, three], "far": [start, two]}

    @contextmanager
    def work(self, hop: int) -> Iterator[None]:
        """Note when a handler begins and ends."""
        seen = self.seen
        seen.started.append(hop)
        seen.started_late += self.world.now > seen.deadline
        try:
            yield
        finally:
            seen.last_work = self.world.now


def a21_deadlines(count: int) -> Outcome:
    """`count` calls over three hops, slow at each of them, on servers whose clocks are an hour apart."""
    chance = random.Random(1)
    ends: Counter[str] = Counter()
    latest = longest_work = 0.0
    wrong = late = 0
    with virtual_time(seed=1, limit=count * 20.0 + 1_000) as world:
        chain = Chain(world)
        with InProcessCluster(TOML, handlers=chain.handlers) as cluster:
            cluster.start()
            for name, hours in (("hub", 0), ("middle", 1), ("far", -1)):
                cluster.clock(name).jump(hours * 3600)
            gevent.sleep(1)
            for number in range(count):
                waits = [0.0, 0.0, 0.0]
                waits[number % 3] = chance.choice(WAITS) if number % 5 else chance.uniform(0.9, 1.05)
                begin = world.now
                chain.seen = seen = Seen(deadline=begin + DEADLINE)
                try:
                    end = cluster.call("one", waits, timeout=DEADLINE)
                except DeadlineExceeded:
                    end = "deadline"
                except (CallError, CommandTimeout) as error:
                    end = type(error).__name__
                ends[end] += 1
                latest = max(latest, world.now - begin)
                gevent.sleep(6)
                longest_work = max(longest_work, seen.last_work - seen.deadline)
                late += seen.started_late
                # What a hop leaves its caller to answer may decide either way just before the deadline.
                wrong += end != ("value" if sum(waits) < 0.97 else "deadline" if sum(waits) > 1.0 else end)
    figure = (
        f"{count:,} calls over 3 hops ({dict(ends)}): returned after {latest:.3f} s at most, worked on for "
        f"{max(0.0, longest_work) * 1000:.0f} ms at most, {late} handlers began too late"
    )
    kept = latest <= 1.05 and longest_work <= 0.05 and not late and not wrong
    return Outcome(count, figure, kept and set(ends) <= {"value", "deadline"})


def a22_fail_fast(count: int) -> Outcome:
    """`count` calls to a server that is away: each ends at once and says that nothing was executed."""
    waits: list[float] = []
    unsent = 0
    with virtual_time(seed=1) as world, InProcessCluster(TOML, handlers=Chain(world).handlers) as cluster:
        cluster.start()
        cluster.crash("middle")
        gevent.sleep(1)
        peer = cluster.kernel("hub").mesh.peers["middle-1"]
        before = world.now
        asks = itertools.cycle([lambda: cluster.call("one", []), lambda: peer.call("one", [])])
        for _ in range(count):
            begin = time.perf_counter()
            try:
                next(asks)()
            except Disconnected as error:
                unsent += not error.sent
            waits.append(time.perf_counter() - begin)
        stood = world.now == before
    waits.sort()
    p99 = waits[int(count * 0.99)] * 1000
    figure = f"{unsent:,} of {count:,} said sent=False, p99 {p99:.3f} ms"
    # The promise is 1 ms; a machine that is busy with other tests may take five times as long.
    return Outcome(count, figure, unsent == count and p99 <= 5.0 and stood)


ROWS = [
    Row("A21", "a deadline holds over three hops, whatever the clocks say", a21_deadlines, 60, 10_000),
    Row("A22", "a call to a server that is away fails at once", a22_fail_fast, 1_000, 10_000),
]
