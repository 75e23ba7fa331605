"""One end of a connection in memory, with the manners of a non-blocking TCP socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firefly_core.testing.memory_pipe import FIN, RESET, Pipe

__all__ = ["MemoryTransport"]

EBADF, EPIPE = 9, 32


class MemoryTransport:
    """A `Transport`: what it reads comes out of one pipe, what it sends goes into another.

    Readiness is told by a timer without delay, that is, while the loop polls, and again each turn as long as it lasts.
    """

    polled = True

    def __init__(self, loop: Any, address: str, incoming: Pipe, outgoing: Pipe, forget: Callable[[], None]) -> None:
        self.address = address
        self._in = incoming
        self._out = outgoing
        self._forget = forget
        self._poll = loop.timer(0.0)
        self._on_readable: Callable[..., Any] | None = None
        self._arguments: tuple[Any, ...] = ()
        self._on_writable: Callable[[], None] | None = None
        self._reading = False
        self._finished = False
        self.closed = False
        self.recv: Callable[[int], bytes] = self._recv
        self.send: Callable[[Any], int] = self._send
        incoming.on_arrival = outgoing.on_room = self._arm
        incoming.on_stray = self._on_stray

    def _recv(self, size: int) -> bytes:
        self._check_open()
        return self._in.take(size)

    def _send(self, data: Any) -> int:
        self._check_open()
        if self._in.error is not None:
            raise self._in.error
        if self._finished:
            raise BrokenPipeError(EPIPE, "sent after the end")
        room = self._out.room
        if room <= 0:
            raise BlockingIOError
        taken = bytes(memoryview(data)[:room])
        if taken:
            self._out.push(taken)
        return len(taken)

    def start(self, on_readable: Callable[..., Any], *arguments: Any) -> None:
        """Call `on_readable(*arguments)` while something can be read."""
        self._on_readable = on_readable
        self._arguments = arguments
        self.resume()

    def pause(self) -> None:
        """Stop calling `on_readable`: to the peer, this end is a slow reader."""
        self._reading = False

    def resume(self) -> None:
        """Call `on_readable` again."""
        self._reading = self._on_readable is not None
        self._arm()

    def wait_writable(self, callback: Callable[[], None]) -> None:
        """Call `callback` while the pipe has room."""
        self._on_writable = callback
        self._arm()

    def stop_writable(self) -> None:
        """Stop calling the callback of `wait_writable`."""
        self._on_writable = None

    def finish(self) -> None:
        """Tell the peer that nothing more will come."""
        self._check_open()
        if not self._finished:
            self._finished = True
            self._out.push_end(FIN)

    def close(self) -> None:
        """Close; as TCP does, with a reset where bytes were left unread."""
        self._close(RESET if self._in.unread else FIN)

    def abort(self) -> None:
        """Close with a reset."""
        self._close(RESET)

    def _close(self, mark: str) -> None:
        if self.closed:
            return
        self.closed = True
        self._on_readable = self._on_writable = None
        self._poll.stop()
        self._poll.close()
        self._in.shut()
        if self._in.error is None and not (self._finished and mark == FIN):
            self._out.push_end(mark)
        self._forget()

    def _check_open(self) -> None:
        if self.closed:
            raise OSError(EBADF, "the transport is closed")

    def _on_stray(self) -> None:
        if self._in.error is None:
            self._out.push_end(RESET)

    def _can_read(self) -> bool:
        return self._reading and self._in.readable

    def _can_write(self) -> bool:
        return self._on_writable is not None and (self._out.roomy or self._in.error is not None)

    def _arm(self) -> None:
        if not self.closed and not self._poll.active and (self._can_read() or self._can_write()):
            self._poll.start(self._dispatch)

    def _dispatch(self) -> None:
        if self._can_read() and self._on_readable is not None:
            self._on_readable(*self._arguments)
        if self._can_write() and self._on_writable is not None:
            self._on_writable()
        self._arm()
