"""Somewhere in memory that connections arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent import get_hub

from firefly_core.channel.transport import Transport
from firefly_core.testing.memory_transport import MemoryTransport

if TYPE_CHECKING:
    from firefly_core.testing.memory_network import MemoryNetwork

__all__ = ["MemoryListener"]

BACKLOG = 4096
WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104  compared with, never bound


class MemoryListener:
    """A `Listener`: connections are handed to `on_accept` in the hub, or wait in the backlog while it is paused."""

    def __init__(
        self,
        network: MemoryNetwork,
        owner: str,
        host: str,
        port: int,
        on_accept: Callable[[Transport], None],
        *,
        shared: bool,
    ) -> None:
        self._network = network
        self.owner = owner
        self.host = host
        self.port = port
        self.shared = shared
        self._on_accept = on_accept
        self._backlog: deque[MemoryTransport] = deque()
        self._loop: Any = get_hub().loop
        self._paused = False
        self.closed = False
        self.turned_away = 0
        network.register(self)
        name = "127.0.0.1" if self.everywhere else host
        self.address = f"[{name}]:{self.port}" if ":" in name else f"{name}:{self.port}"

    @property
    def everywhere(self) -> bool:
        """Whether it listens on all addresses."""
        return self.host in WILDCARDS

    @property
    def full(self) -> bool:
        """Whether the backlog takes nobody more."""
        return len(self._backlog) >= BACKLOG

    def overlaps(self, other: MemoryListener) -> bool:
        """Whether both want the same addresses of one port."""
        return self.host == other.host or self.everywhere or other.everywhere

    def take(self, transport: MemoryTransport) -> None:
        """Put a new connection in the backlog."""
        self._backlog.append(transport)
        self._schedule()

    def pause(self) -> None:
        """Accept nobody; who comes waits in the backlog."""
        self._paused = True

    def resume(self) -> None:
        """Accept again."""
        self._paused = False
        self._schedule()

    def close(self) -> None:
        """Accept nobody any more; who waits in the backlog is reset."""
        if self.closed:
            return
        self.closed = True
        self._network.unregister(self)
        while self._backlog:
            self._backlog.popleft().abort()

    def _schedule(self) -> None:
        if self._backlog and not self._paused:
            self._loop.run_callback(self._accept)

    def _accept(self) -> None:
        while self._backlog and not self._paused and not self.closed:
            self._on_accept(self._backlog.popleft())
