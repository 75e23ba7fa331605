"""Keeps one connection to one address: dials, waits for the hello, waits for the loss, dials again, for ever."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from typing import Protocol

import gevent
from gevent.event import Event

from firefly_core.channel.clock import Clock
from firefly_core.channel.rpc import RpcChannel
from firefly_core.channel.transport import Network, Transport
from firefly_core.errors import CallError

__all__ = ["Backoff", "Dialer", "MakeChannel"]

FIRST_DELAY, FACTOR, LONGEST_DELAY, JITTER = 0.1, 1.6, 5.0, 0.2
CONNECT_TIMEOUT = 3.0
ALARM_AFTER = 60.0
log = logging.getLogger("firefly.dialer")


class MakeChannel(Protocol):
    """Makes the channel of a new connection, with a fresh `Initiator`; it must pass both callbacks on."""

    def __call__(
        self,
        transport: Transport,
        *,
        on_ready: Callable[[RpcChannel], None],
        on_lost: Callable[[RpcChannel, str], None],
    ) -> RpcChannel: ...


class Backoff:
    """How long to wait before each try: 0.1 s, then 1.6 times as long each time up to `longest`; +-20 % of chance."""

    __slots__ = ("_delay", "_longest", "_random")

    def __init__(self, source: random.Random, longest: float = LONGEST_DELAY) -> None:
        self._random = source
        self._longest = longest
        self._delay = min(FIRST_DELAY, longest)

    def next(self) -> float:
        """Give the seconds to wait now."""
        delay = self._delay
        self._delay = min(delay * FACTOR, self._longest)
        return delay * self._random.uniform(1 - JITTER, 1 + JITTER)

    def reset(self) -> None:
        """Begin again with the shortest delay."""
        self._delay = min(FIRST_DELAY, self._longest)


class Dialer:
    """Keeps a channel to `host:port`, in a greenlet of its own that never raises and never gives up.

    `on_connected(channel)` is called on a runner, when the peer's hello is complete; only then does the delay before
    the next try fall back to the shortest. `on_disconnected(channel, reason)` is called in the hub, when such a channel
    is lost; `on_refused(error)` in the dialer's greenlet, when the peer does not want this side: its code says why, and
    the owner may `stop`, or give True, when the next try is worth making because it will be another one. After 60 s
    without a channel one error line is logged.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        network: Network,
        clock: Clock,
        random: random.Random,
        make_channel: MakeChannel,
        on_connected: Callable[[RpcChannel], None],
        on_disconnected: Callable[[RpcChannel, str], None],
        on_refused: Callable[[CallError], bool | None] | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        longest_delay: float = LONGEST_DELAY,
    ) -> None:
        self.address = f"{host}:{port}"
        self._host = host
        self._port = port
        self._network = network
        self._clock = clock
        self._connect_timeout = connect_timeout
        self._backoff = Backoff(random, longest_delay)
        self._make_channel = make_channel
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._on_refused = on_refused
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._stopping = Event()
        self._lost = Event()
        self._ready = Event()
        self._trying: RpcChannel | None = None
        self._down_since = clock.monotonic()
        self._alarmed = False
        self.channel: RpcChannel | None = None
        """The channel, while there is one and its hello is complete."""
        self.tries = 0
        self.connections = 0

    def start(self) -> None:
        """Begin to dial."""
        if self._greenlet is None:
            self._down_since = self._clock.monotonic()
            self._greenlet = gevent.spawn(self._run)

    def stop(self, reason: str = "closed") -> None:
        """Dial no more, and close the channel. A stopped dialer is not started again."""
        self._stopping.set()
        if self._trying is not None:
            self._trying.close(reason)
        if self._greenlet is not None and self._greenlet is not gevent.getcurrent():
            self._greenlet.kill(block=False)

    def wait_connected(self, timeout: float | None = None) -> RpcChannel | None:
        """Wait for a channel for at most `timeout` seconds; None when there is none by then."""
        self._ready.wait(timeout)
        return self.channel

    def statistics(self) -> Mapping[str, float]:
        """Give the current figures; counters end in `_total`."""
        down = 0.0 if self.channel is not None else self._clock.monotonic() - self._down_since
        return {"dials_total": self.tries, "connections_total": self.connections, "down_seconds": down}

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._try()
            except (Exception, gevent.Timeout) as error:
                self._on_failure(error)
            self._stopping.wait(self._backoff.next())

    def _try(self) -> None:
        """Connect, and stay until the connection is lost."""
        self.tries += 1
        transport = self._network.dial(self._host, self._port, timeout=self._connect_timeout)
        self._lost.clear()
        try:
            channel = self._make_channel(transport, on_ready=self._on_channel_ready, on_lost=self._on_channel_lost)
        except BaseException:
            transport.close()
            raise
        self._trying = channel
        channel.start()
        self._lost.wait()
        self._trying = None
        refusal = channel.greeting.refusal
        if refusal is not None:
            hopeful = self._on_refused is not None and self._on_refused(refusal)
            if not hopeful and not self._alarmed:
                self._alarmed = True
                log.error("%s refuses this server: %s", self.address, refusal)
        elif channel.peer is None:
            self._on_failure(ConnectionError(f"no hello: {channel.reason}"))

    def _on_channel_ready(self, channel: RpcChannel) -> None:
        self._backoff.reset()
        self.connections += 1
        self.channel = channel
        self._ready.set()
        if self._alarmed:
            log.info("connected to %s after %.0f s", self.address, self._clock.monotonic() - self._down_since)
        self._alarmed = False
        self._on_connected(channel)

    def _on_channel_lost(self, channel: RpcChannel, reason: str) -> None:
        self._lost.set()
        if self.channel is channel:
            self.channel = None
            self._ready.clear()
            self._down_since = self._clock.monotonic()
            self._on_disconnected(channel, reason)

    def _on_failure(self, error: BaseException) -> None:
        if isinstance(error, OSError):
            log.debug("cannot reach %s: %s", self.address, error)
        else:
            log.error("cannot dial %s", self.address, exc_info=error)
        down = self._clock.monotonic() - self._down_since
        if down >= ALARM_AFTER and not self._alarmed:
            self._alarmed = True
            log.error("no connection to %s for %.0f s: %s", self.address, down, error)
