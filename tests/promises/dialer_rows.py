"""Rows A23r and A24r: dialers that lose their root and find it again, over real sockets and in real time."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from typing import Any

import gevent

from firefly_core.channel.clock import SystemClock
from firefly_core.channel.deadlines import Deadlines
from firefly_core.channel.dialer import FACTOR, FIRST_DELAY, JITTER, LONGEST_DELAY, Dialer
from firefly_core.channel.limits import ChannelLimits
from firefly_core.channel.network import SocketNetwork
from firefly_core.channel.rpc import RpcChannel
from firefly_core.channel.runners import Runners
from firefly_core.channel.transport import Transport
from firefly_core.wire.hello import Acceptor, Initiator, PeerIdentity
from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import free_ports, wait_until

__all__ = ["ROWS"]

SECRET = b"the secret of these promises...."


class Wire:
    """Dialers and a root of this process, over real sockets."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.runners = Runners()
        self.deadlines = Deadlines(gevent.get_hub().loop, self.clock)
        self.network = SocketNetwork()
        self.random = random.Random(1)
        [self.port] = free_ports(1)
        self.dials: list[tuple[float, str]] = []
        """When a dial began, and when one had ended: `begin`, `failed` or `hello`."""
        self._listener: Any = None
        self._accepted: list[Any] = []
        self._dialers: list[Dialer] = []

    def open(self, on_accept: Callable[[Transport], None] | None = None) -> None:
        """Listen."""
        self._listener = self.network.listen("127.0.0.1", self.port, on_accept or self._accept)

    def shut(self) -> None:
        """Listen no more, and cut every connection."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        accepted, self._accepted = self._accepted, []
        for channel in accepted:
            channel.close("shut")

    def dialer(self, number: int, on_connected: Callable[[RpcChannel], None]) -> None:
        """Keep a channel to the root."""
        identity = PeerIdentity(f"world-{number}", "world", ("node",), self.random.getrandbits(64), 1)

        def make(transport: Transport, *, on_ready: Any, on_lost: Any) -> RpcChannel:
            hello = Initiator(identity, [SECRET], self.random.randbytes(32), None)
            return self._channel(transport, hello, on_lost, on_ready)

        made = Dialer(
            "127.0.0.1",
            self.port,
            network=self,
            clock=self.clock,
            random=random.Random(number),
            make_channel=make,
            on_connected=on_connected,
            on_disconnected=lambda *_: self.dials.append((self.clock.monotonic(), "lost")),
        )
        made.start()
        self._dialers.append(made)

    def dial(self, host: str, port: int, *, timeout: float) -> Transport:
        """Note when it begins and fails."""
        self.dials.append((self.clock.monotonic(), "begin"))
        try:
            return self.network.dial(host, port, timeout=timeout)
        except OSError:
            self.dials.append((self.clock.monotonic(), "failed"))
            raise

    def listen(self, *about: Any, **options: Any) -> Any:
        """Do what the sockets do."""
        return self.network.listen(*about, **options)

    def close(self) -> None:
        """End everything."""
        for dialer in self._dialers:
            dialer.stop()
        self.shut()
        gevent.sleep(0.05)
        self.deadlines.close()
        self.runners.close()

    def _accept(self, transport: Transport) -> None:
        root = PeerIdentity("gate-1", "gate", ("root",), 11, 1)
        acceptor = Acceptor(root, [SECRET], self.random.randbytes(32), None)
        channel = self._channel(transport, acceptor, lambda *_: None, None)
        self._accepted.append(channel)
        channel.start()

    def _channel(self, transport: Transport, hello: Any, on_lost: Any, on_ready: Any) -> RpcChannel:
        return RpcChannel(
            transport,
            self.runners,
            self.deadlines,
            lambda *_: None,
            limits=ChannelLimits(),
            on_lost=on_lost,
            on_ready=on_ready,
            hello=hello,
        )


def a23_real(count: int) -> Outcome:
    """For `count` seconds dial a server that refuses, and one that takes every connection and closes it at once."""
    gaps: list[float] = []
    misfits = 0
    worst = 0.0
    for kind in ("refuses", "closes"):
        wire = Wire()
        if kind == "closes":
            wire.open(lambda transport: transport.close())
        wire.dialer(1, lambda _: None)
        gevent.sleep(count / 2)
        begins = [at for at, what in wire.dials if what == "begin"]
        wire.close()
        for step, (one, other) in enumerate(itertools.pairwise(begins)):
            expected = min(FIRST_DELAY * FACTOR**step, LONGEST_DELAY)
            off = abs(other - one - expected) / expected
            gaps.append(other - one)
            # To connect and be refused takes a little itself, which is no part of the pause.
            misfits += off > JITTER + 0.03 / expected
            worst = max(worst, off)
    figure = f"{misfits} of {len(gaps)} pauses off, the worst by {worst:.1%}, in {count} s over real sockets"
    return Outcome(len(gaps), figure, not misfits and len(gaps) >= 4)


def a24_real(count: int) -> Outcome:
    """`count` dialers over real sockets lose their root for some seconds."""
    outage = 30.0 if count >= 50 else 1.0
    wire = Wire()
    connected: list[float] = []
    wire.open()
    try:
        for number in range(1, count + 1):
            wire.dialer(number, lambda _: connected.append(time.monotonic()))
        wait_until(lambda: len(connected) == count, "all of them")
        wire.shut()
        gevent.sleep(outage)
        connected.clear()
        back = time.monotonic()
        wire.open()
        wait_until(lambda: len(connected) == count, "all of them again", timeout=60)
    finally:
        wire.close()
    waits = sorted(at - back for at in connected)
    p99 = waits[min(count - 1, int(count * 0.99))]
    figure = f"{count} of {count} back after an outage of {outage:g} s, p99 {p99:.2f} s, over real sockets"
    return Outcome(count, figure, p99 <= 6.5)


ROWS = [
    Row("A23r", "coming back keeps to its schedule, on real sockets", a23_real, 2, 60),
    Row("A24r", "50 nodes come back on real sockets", a24_real, 10, 50),
]
