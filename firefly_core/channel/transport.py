"""What a Stream drives: a non-blocking byte transport, and the network that makes them.

`SocketNetwork` is the real one; the test kit has another whose links live in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Broken", "Listener", "Network", "Transport", "word_of"]


class Broken(OSError):
    """A transport is broken, and knows why: `word` is the reason for which the connection ends."""

    def __init__(self, word: str, message: str) -> None:
        super().__init__(message)
        self.word = word


def word_of(error: OSError) -> str:
    """Give the reason for which a connection ends whose transport raised `error`."""
    if isinstance(error, Broken):
        return error.word
    return "reset" if isinstance(error, ConnectionResetError) else "lost"


class Transport(Protocol):
    """One connection's raw bytes, both ways; every method is called on the hub's thread and returns at once."""

    address: str
    """The peer's address, as `host:port`."""
    polled: bool
    """Whether `on_readable` is called by a loop watcher while the loop polls; False: from a callback of the loop."""
    recv: Callable[[int], bytes]
    """Take at most so many bytes. `b""`: the peer has finished. BlockingIOError: nothing now. OSError: broken."""
    send: Callable[[Any], int]
    """Give bytes and learn how many were taken. BlockingIOError: none now. OSError: broken."""

    def start(self, on_readable: Callable[..., Any], *arguments: Any) -> None:
        """Call `on_readable(*arguments)` in the hub when `recv` would give something; it must not raise or block."""

    def pause(self) -> None:
        """Stop calling `on_readable`, until `resume`. Pausing twice is pausing once."""

    def resume(self) -> None:
        """Call `on_readable` again."""

    def wait_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the hub each time `send` would take something, until `stop_writable`."""

    def stop_writable(self) -> None:
        """Stop calling the callback of `wait_writable`."""

    def finish(self) -> None:
        """Tell the peer that nothing more will be sent; reading goes on."""

    def close(self) -> None:
        """Close at once; what was sent but not delivered may still arrive. Closing twice is closing once."""

    def abort(self) -> None:
        """Close with a reset, where the transport knows such a thing."""


class Listener(Protocol):
    """Somewhere that connections arrive."""

    address: str
    """Where it listens, as `host:port` (port 0 is resolved)."""
    turned_away: int
    """Connections closed at once because the process had no descriptor left."""

    def pause(self) -> None:
        """Accept nobody until `resume`; arriving connections wait in the backlog."""

    def resume(self) -> None:
        """Accept again."""

    def close(self) -> None:
        """Accept nobody any more; connections that were accepted live on."""


class Network(Protocol):
    """Makes transports; handed to the kernel, so that tests may hand in another."""

    def dial(self, host: str, port: int, *, timeout: float) -> Transport:
        """Connect, blocking the calling greenlet for at most `timeout` seconds. Raises OSError (TimeoutError too)."""

    def listen(
        self, host: str, port: int, on_accept: Callable[[Transport], None], *, descriptor: int | None = None
    ) -> Listener:
        """Listen and call `on_accept` in the hub for each connection; `descriptor` is an inherited bound socket.

        Raises OSError when the address cannot be had.
        """
