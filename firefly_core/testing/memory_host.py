"""The network in memory as one host sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import gevent

from firefly_core.channel.transport import Listener, Transport
from firefly_core.testing.memory_listener import MemoryListener

if TYPE_CHECKING:
    from firefly_core.testing.memory_network import MemoryNetwork

__all__ = ["MemoryHost"]

RETRY_SYN = 1.0
ECONNREFUSED, ENETDOWN = 111, 100


class MemoryHost:
    """A `Network`: what one host can do."""

    def __init__(self, network: MemoryNetwork, name: str, address: str) -> None:
        self.network = network
        self.name = name
        self.address = address
        self.down = False
        """Whether this host's process has crashed."""

    def dial(self, host: str, port: int, *, timeout: float) -> Transport:
        """Connect within `timeout` seconds; blocks the calling greenlet. Raises OSError."""
        limit = gevent.Timeout(timeout)
        try:
            with limit:
                return self._dial(host, port)
        except gevent.Timeout as error:
            if error is not limit:
                raise
            raise TimeoutError(f"{host}:{port} did not answer within {timeout:g} s") from None

    def listen(
        self, host: str, port: int, on_accept: Callable[[Transport], None], *, descriptor: int | None = None
    ) -> Listener:
        """Listen. A `descriptor`, whatever its number, says that other hosts share the port. Raises OSError."""
        self._check_up()
        shared = descriptor is not None
        return MemoryListener(self.network, self.name, _canonical(host), port, on_accept, shared=shared)

    def _dial(self, host: str, port: int) -> Transport:
        network = self.network
        pause = RETRY_SYN
        while True:
            self._check_up()
            listener = network.find(_canonical(host), port)
            if listener is not None:
                lost = network.is_cut(self.name, listener.owner) or network.is_cut(listener.owner, self.name)
                if not lost:
                    gevent.sleep(self._round_trip(listener.owner))
                    self._check_up()
                if not lost and not listener.full and not listener.closed:
                    return network.connect(self, listener)
                if not listener.closed:
                    # The question or the answer got lost: ask again, as TCP does.
                    gevent.sleep(pause)
                    pause *= 2
                    continue
            else:
                gevent.sleep(0)
            raise ConnectionRefusedError(ECONNREFUSED, f"connection refused by {host}:{port}")

    def _check_up(self) -> None:
        if self.down:
            raise OSError(ENETDOWN, f"{self.name} is down")

    def _round_trip(self, other: str) -> float:
        there, back = self.network.conditions_of(self.name, other), self.network.conditions_of(other, self.name)
        return there.delay + back.delay


def _canonical(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host
