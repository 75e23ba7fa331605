"""The supervisor's event loop: descriptors, timers and signals, on the standard library alone.

Signals are read as bytes from a socket that the interpreter writes to, so a callback always runs between two others.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import signal
import socket
import time
from collections.abc import Callable

from firefly_core.errors import ConfigurationError

__all__ = ["Loop", "Timer"]

SIGNAL_BYTES = 256


class Timer:
    """A callback that runs once, later; `cancel()` takes it back at any time."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Take the callback back; a timer that has run is left as it is."""
        self.callback = None


class Loop:
    """Runs callbacks, one at a time, when descriptors are ready, timers are due or signals arrive."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._running = False
        self.on_error: Callable[[Exception], None] = _raise
        """Is given what a callback raised; ConfigurationError always ends `run`."""
        self._handlers: dict[int, Callable[[], None]] = {}
        self._before: dict[int, object] = {}
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)
        self.watch(self._bell.fileno(), self._signals)
        self._former_wakeup = signal.set_wakeup_fd(self._rope.fileno(), warn_on_full_buffer=False)

    @staticmethod
    def now() -> float:
        """Give the seconds of a clock that never jumps."""
        return time.monotonic()

    def later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once, `delay` seconds from now."""
        timer = Timer(self.now() + delay, callback)
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
        return timer

    def watch(self, descriptor: int, readable: Callable[[], None], writable: Callable[[], None] | None = None) -> None:
        """Run `readable` while `descriptor` can be read, and `writable`, where given, while it can be written."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writable else 0)
        if descriptor in self._selector.get_map():
            self._selector.modify(descriptor, events, (readable, writable))
        else:
            self._selector.register(descriptor, events, (readable, writable))

    def forget(self, descriptor: int) -> None:
        """Stop watching `descriptor`; call it before the descriptor is closed."""
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def on_signal(self, number: int, callback: Callable[[], None]) -> None:
        """Run `callback` whenever the signal arrives, until the loop is closed."""
        self._handlers[number] = callback
        former = signal.signal(number, lambda *_: None)
        self._before.setdefault(number, former)

    def run(self) -> None:
        """Run callbacks until `stop` is called."""
        self._running = True
        while self._running:
            for key, events in self._selector.select(self._patience()):
                readable, writable = key.data
                if events & selectors.EVENT_WRITE and writable is not None:
                    self._call(writable)
                if events & selectors.EVENT_READ and key.fd in self._selector.get_map():
                    self._call(readable)
            self._run_timers()

    def stop(self) -> None:
        """Let `run` return after the current callback's turn."""
        self._running = False

    def close(self) -> None:
        """Give signals and descriptors back."""
        signal.set_wakeup_fd(self._former_wakeup)
        for number, former in self._before.items():
            signal.signal(number, former)  # type: ignore[arg-type]
        self._selector.close()
        self._bell.close()
        self._rope.close()

    def _patience(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self.now()) if self._timers else None

    def _run_timers(self) -> None:
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                self._call(callback)

    def _signals(self) -> None:
        for number in self._bell.recv(SIGNAL_BYTES):
            handler = self._handlers.get(number)
            if handler is not None:
                self._call(handler)

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except ConfigurationError:
            raise
        except Exception as error:
            self.on_error(error)


def _raise(error: Exception) -> None:
    raise error
