"""Rows A26, A27 and A30: channels to peers that stop, that flood, and that simply work."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import gevent
import msgpack

from firefly_core.channel.limits import ChannelLimits
from firefly_core.channel.rpc import RpcChannel
from firefly_core.errors import CallError, CommandTimeout, Disconnected, Overloaded
from firefly_core.wire.hello import Initiator, PeerIdentity
from tests.promises.far_end import SECRET, Floor, far_end
from tests.promises.ledger import Outcome, Row

__all__ = ["ROWS"]

PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20
PADDING = bytes(1024)


def resident() -> int:
    """Give the bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


class Producer:
    """Sends as fast as it can, calls and notifications by turns, and counts what becomes of each."""

    def __init__(self, channel: RpcChannel) -> None:
        self.channel = channel
        self.ends: Counter[str] = Counter()
        self.accepted = 0
        """Notifications that were taken."""
        self.refused = 0
        """Notifications that were not, and it was said."""
        self.overloaded = 0
        self.open = 0
        self.most = 0
        """The most memory that was seen to be held, in bytes."""

    def run(self, seconds: float) -> None:
        """Produce for so long."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            for _ in range(200):
                self._produce()
            self.most = max(self.most, resident())
            gevent.sleep(0)

    def _produce(self) -> None:
        try:
            self.channel.call_later("note", ("call", PADDING), self._ended, timeout=600.0)
            self.open += 1
        except Overloaded:
            self.overloaded += 1
        if self.channel.notify("note", "notify", PADDING):
            self.accepted += 1
        else:
            self.refused += 1

    def _ended(self, error: CallError | None, _result: Any) -> None:
        self.open -= 1
        self.ends["value" if error is None else type(error).__name__] += 1


def a26_outbox(count: int) -> Outcome:
    """For `count` seconds send at full speed to a peer that is stopped, then let it go on."""
    with far_end() as (_, end):
        channel = end.dial()
        producer = Producer(channel)
        producer.run(0.5)
        end.freeze()
        gevent.sleep(0.1)
        before = resident()
        producer.most = 0
        producer.run(count)
        grown = producer.most - before
        end.thaw()
        noted = settle(channel, producer)
        figure = (
            f"{grown / MIB:+.1f} MiB in {count} s; {producer.overloaded:,} calls Overloaded, {producer.refused:,} "
            f"notifications refused; of {producer.accepted + producer.ends.total():,} accepted "
            f"{producer.accepted - noted['notify'] + producer.ends.total() - noted['call']} lost"
        )
        kept = (
            grown <= 16 * MIB
            and producer.overloaded > 0
            and producer.open == 0
            and set(producer.ends) == {"value"}
            and noted == {"call": producer.ends["value"], "notify": producer.accepted}
        )
        return Outcome(producer.accepted + producer.ends.total() + producer.overloaded, figure, kept)


def settle(channel: RpcChannel, producer: Producer) -> dict[str, int]:
    """Wait until everything that was taken has arrived; give what arrived."""
    noted: dict[str, int] = {}
    with gevent.Timeout(60, False):
        while producer.open or noted.get("notify", 0) < producer.accepted:
            gevent.sleep(0.05)
            try:
                noted = channel.call("noted", timeout=60)
            except Overloaded:
                continue
    return noted


def a27_cancels(count: int) -> Outcome:
    """`count` requests and their cancels as fast as they go, from a peer that means it badly; another one pings."""
    floor = Floor(ChannelLimits())
    running = most = started = 0

    def stubborn() -> None:
        nonlocal running, most, started
        started += 1
        running += 1
        most = max(most, running)
        try:
            gevent.sleep(60)
        except CommandTimeout:
            gevent.sleep(5)
        finally:
            running -= 1

    floor.methods = {"stubborn": stubborn, "echo": lambda value: value}
    port = floor.serve()
    good = floor.dial(port, "world-2")
    try:
        quiet = pings(good, 0.5)
        begin = time.monotonic()
        flood = gevent.spawn(send_flood, port, count)
        busy = pings(good, 1.0)
        flood.join(timeout=15)
        ended = time.monotonic() - begin
        reasons = floor.reasons
        figure = (
            f"closed {reasons} after {ended:.2f} s, {most} handlers at most, {started} of {count:,} started; "
            f"p99 of another peer's pings {quiet * 1000:.1f} ms before, {busy * 1000:.1f} ms meanwhile"
        )
        kept = reasons == ["cancel_flood"] and most <= 256 and ended <= 10
        return Outcome(count, figure, kept and busy <= max(5 * quiet, 0.25))
    finally:
        good.close()
        floor.close()


def pings(channel: RpcChannel, seconds: float) -> float:
    """Call for so long; give the 99th of a hundred waits."""
    waits = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        begin = time.perf_counter()
        channel.call("echo", 1)
        waits.append(time.perf_counter() - begin)
        gevent.sleep(0.001)
    return sorted(waits)[int(len(waits) * 0.99)]


def send_flood(port: int, count: int) -> None:
    """Say hello as a peer does, then ask and cancel until the other side has had enough."""
    identity = PeerIdentity("world-1", "world", ("node",), 7, 1)
    hello = Initiator(identity, [SECRET], os.urandom(32), None)
    with gevent.socket.create_connection(("127.0.0.1", port)) as line:
        unpacker = msgpack.Unpacker()

        def answer() -> Any:
            while True:
                for message in unpacker:
                    return message[3]
                unpacker.feed(line.recv(65536))

        line.sendall(msgpack.packb([0, 0, "firefly.hello", hello.opening()]))
        line.sendall(msgpack.packb([0, 1, "firefly.hello", hello.prove(answer())]))
        answer()
        try:
            for number in range(16, 16 + count):
                ask = msgpack.packb([0, number, "stubborn", []])
                line.sendall(ask + msgpack.packb([2, "firefly.cancel", [number]]))
                if number % 10 == 0:
                    gevent.sleep(0.001)
        except OSError:
            pass


def a30_throughput(count: int) -> Outcome:
    """`count` echoes of 100 bytes to another process, by 1, by 16 and by 256 callers."""
    told = []
    with far_end(ChannelLimits()) as (_, end):
        channel = end.dial()
        body = bytes(100)
        wrong = 0
        for callers, part in ((1, 0.1), (16, 0.4), (256, 0.5)):
            each = max(1, int(count * part) // callers)
            waits: list[float] = []

            def work(calls: int, waits: list[float]) -> int:
                bad = 0
                for _ in range(calls):
                    begin = time.perf_counter()
                    try:
                        bad += channel.call("echo", body) != body
                    except (CallError, Disconnected):
                        bad += 1
                    waits.append(time.perf_counter() - begin)
                return bad

            begin = time.perf_counter()
            jobs = [gevent.spawn(work, each, waits) for _ in range(callers)]
            gevent.joinall(jobs, raise_error=True)
            rate = len(waits) / (time.perf_counter() - begin)
            wrong += sum(job.value for job in jobs)
            waits.sort()
            p50, p99, p999 = (waits[int(len(waits) * part)] * 1000 for part in (0.5, 0.99, 0.999))
            told.append(f"{callers} callers {rate:,.0f}/s, p50 {p50:.2f} p99 {p99:.2f} p99.9 {p999:.2f} ms")
        channel.close()
    return Outcome(count, "; ".join(told), wrong == 0)


ROWS = [
    Row("A26", "a peer that stops costs bounded memory, and nothing is lost in silence", a26_outbox, 2, 30),
    Row("A27", "a flood of cancels is contained", a27_cancels, 2_000, 100_000),
    Row("A30", "echoes between two processes", a30_throughput, 4_000, 400_000),
]
