"""Rows C7 and C8: a bad link between two servers, real sockets through a proxy, while 200 callers use it."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import gevent

from firefly_core.channel.dialer import Dialer
from firefly_core.channel.limits import ChannelLimits
from firefly_core.channel.rpc import RpcChannel
from firefly_core.errors import CallError, Disconnected
from tests.promises.chaos_proxy import ChaosProxy
from tests.promises.far_end import FarEnd, Floor
from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import wait_until

__all__ = ["ROWS"]

CALLERS = 200
PAUSE = 0.2
"""Seconds between the calls of one caller."""
SHORT = 30
"""Seconds from which on a link is as narrow as promised."""
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20
BODY = bytes(1000)


@attrs.define
class Load:
    """What the callers saw."""

    calls: int = 0
    ends: Counter[str] = attrs.Factory(Counter)
    last: float = 0.0
    """When the last value came."""
    drought: float = 0.0
    """The longest time without one."""
    slowest: float = 0.0
    wrong: int = 0
    running: bool = True

    def call(self, channel: RpcChannel | None, number: int) -> None:
        """Call once, and note how it ends."""
        self.calls += 1
        begin = time.monotonic()
        if channel is None:
            self.ends["away"] += 1
            return
        try:
            answer = channel.call("echo", [number, BODY], timeout=10)
        except Disconnected as error:
            self.ends["sent" if error.sent else "unsent"] += 1
            return
        except CallError as error:
            self.ends[type(error).__name__] += 1
            return
        now = time.monotonic()
        self.ends["value"] += 1
        self.wrong += answer[0] != number
        self.drought = max(self.drought, now - self.last)
        self.last = now
        self.slowest = max(self.slowest, now - begin)


@contextmanager
def link(**manners: float) -> Iterator[tuple[ChaosProxy, Dialer]]:
    """Give a proxy with such manners, and a dialer through it to an echo in another process."""
    floor = Floor(ChannelLimits())
    end = FarEnd(floor)
    proxy = ChaosProxy(end.port, **manners)
    dialer = floor.keep(proxy.port)
    try:
        assert dialer.wait_connected(10) is not None
        yield proxy, dialer
    finally:
        dialer.stop()
        proxy.close()
        end.stop()
        floor.close()


def work(dialer: Dialer, load: Load, number: int) -> None:
    """Be one caller."""
    gevent.sleep(PAUSE * number / CALLERS)
    while load.running:
        load.call(dialer.channel, load.calls)
        gevent.sleep(PAUSE)


def begin_load(dialer: Dialer) -> tuple[Load, list[Any]]:
    """Let the callers begin."""
    load = Load(last=time.monotonic())
    return load, [gevent.spawn(work, dialer, load, number) for number in range(CALLERS)]


def end_load(load: Load, callers: list[Any]) -> None:
    """Let the callers end their last calls."""
    load.running = False
    gevent.joinall(callers, timeout=30, raise_error=True)


def descriptors() -> int:
    """Give how many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    """Give the bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def c7_resets(count: int) -> Outcome:
    """For `count` seconds reset the link every 50 to 500 ms, while 200 callers call five times a second each."""
    with link() as (proxy, dialer):
        before = descriptors()
        load, callers = begin_load(dialer)
        ends = time.monotonic() + count
        channel = None
        while time.monotonic() < ends:
            gevent.sleep(random.uniform(0.05, 0.5))
            proxy.reset()
        end_load(load, callers)
        wait_until(lambda: dialer.channel is not None, "the link again", timeout=10)
        channel = dialer.channel
        assert channel is not None
        alive = channel.call("echo", 7) == 7
        pending = channel.pending
        leaked = descriptors() - before
    figure = (
        f"{load.ends.total():,} ends of {load.calls:,} calls beside {proxy.resets:,} resets "
        f"({', '.join(f'{number:,} {word}' for word, number in load.ends.most_common())}); {pending} pending, "
        f"{leaked:+d} descriptors, never longer than {load.drought:.2f} s without a value"
    )
    kept = load.ends.total() == load.calls and not load.wrong and alive and not pending and abs(leaked) <= 5
    return Outcome(load.calls, figure, kept and proxy.resets > 0 and load.drought <= 10)


def c8_slow(count: int) -> Outcome:
    """For `count` seconds let the link be slow, narrow and lossy, while 200 callers want more than it carries."""
    rate = 64 * 1024 if count >= SHORT else 1024 * 1024
    with link(delay=0.1, jitter=0.05, rate=rate) as (_, dialer):
        before = resident()
        load, callers = begin_load(dialer)
        most = queued = 0
        ends = time.monotonic() + count
        while time.monotonic() < ends:
            gevent.sleep(0.1)
            most = max(most, resident() - before)
            channel = dialer.channel
            queued = max(queued, channel.statistics()["outbox_bytes"] if channel is not None else 0)
        end_load(load, callers)
        again = dialer.statistics()["connections_total"] - 1
    figure = (
        f"{load.ends.total():,} ends of {load.calls:,} calls ("
        f"{', '.join(f'{number:,} {word}' for word, number in load.ends.most_common())}), {again:.0f} disconnects, "
        f"the slowest value after {load.slowest:.1f} s; {queued / 1024:,.0f} KiB waited at most, {most / MIB:+.1f} MiB"
    )
    kept = load.ends.total() == load.calls and not load.wrong and not again and most <= 10 * MIB
    return Outcome(load.calls, figure, kept and load.ends["value"] > 0)


ROWS = [
    Row("C7", "a link that is reset all the time makes progress and leaks nothing", c7_resets, 2, 300),
    Row("C8", "a slow and narrow link costs time, and nothing else", c8_slow, 2, 300),
]
