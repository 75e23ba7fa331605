"""Pooled greenlets that run what arrived: one for all of a loop turn, as long as no handler blocks.

1. A stream's read callback (in the hub) puts `(receiver, data)` on the ready list.
2. Before the loop polls again, `_drain` switches to one parked runner, which takes the whole list.
3. A handler that never blocks costs no spawn and no switch of its own.
4. When a handler blocks, control comes back to the hub inside that switch. The receiver is told (`on_blocked`), the
   runner stays with it, and the next runner takes the rest of the list.
5. A runner that comes back from blocking finishes its receiver's data and parks.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from gevent import get_hub
from greenlet import GreenletExit, getcurrent, greenlet

__all__ = ["Receiver", "Runners"]

log = logging.getLogger("firefly.runners")
MAX_IDLE = 256
"""Parked runners kept for reuse; a parked greenlet holds 6 to 8 KiB."""


class Receiver(Protocol):
    """Takes what arrived on a runner."""

    def on_data(self, data: bytes) -> None:
        """Handle `data`, on a runner; may block."""

    def on_blocked(self, runner: greenlet) -> None:
        """Note, in the hub, that `runner` parked inside `on_data`; must neither block nor raise."""


class _Task:
    """A function to run once, in the shape of a receiver."""

    __slots__ = ("_arguments", "_function")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._function = function
        self._arguments = arguments

    def on_data(self, _data: bytes) -> None:
        self._function(*self._arguments)

    def on_blocked(self, runner: greenlet) -> None:
        pass


class Runners:
    """The runner pool of one kernel, on the hub of the thread that made it."""

    def __init__(self) -> None:
        self._hub = get_hub()
        self._loop = self._hub.loop
        # gevent's Hub.switch checks for misuse that cannot happen here; the plain switch is 0.4 us cheaper.
        self._to_hub = greenlet.switch.__get__(self._hub)
        self._ready: deque[tuple[Receiver, bytes]] = deque()
        self.arrived = self._ready.append
        """Put `(receiver, data)` on the ready list; only from a watcher's callback while the loop polls."""
        self._idle: list[greenlet] = []
        self._turn: greenlet | None = None
        self._current: Receiver | None = None
        self._budget = 0
        self._scheduled = False
        self.started = 0
        """Runners made so far: how often a handler blocked while no parked runner was left."""
        self._prepare = self._loop.prepare()
        self._prepare.start(self._drain)

    def submit(self, receiver: Receiver, data: bytes = b"") -> None:
        """Call `receiver.on_data(data)` on a runner soon, in the order of submission; from anywhere."""
        self._ready.append((receiver, data))
        self._schedule()

    def run(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Run `function` on a runner soon; what it raises is logged."""
        self.submit(_Task(function, arguments))

    def close(self) -> None:
        """Stop taking from the ready list; parked runners end, blocked ones when their handler returns."""
        self._prepare.stop()
        self._prepare.close()
        self._ready.clear()
        idle, self._idle = self._idle, []
        for runner in idle:
            self._loop.run_callback(runner.throw, GreenletExit)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.run_callback(self._drain_scheduled)

    def _drain_scheduled(self) -> None:
        self._scheduled = False
        self._drain()

    def _drain(self) -> None:
        ready = self._ready
        if not ready:
            return
        self._budget = len(ready)
        idle = self._idle
        while ready:
            if self._budget <= 0:
                self._schedule()
                return
            if idle:
                runner = idle.pop()
                runner.gr_context = None
            else:
                runner = greenlet(self._run, self._hub)
                self.started += 1
            self._turn = runner
            runner.switch()
            blocked = self._current
            if blocked is not None:
                self._turn = self._current = None
                if not runner.dead:
                    blocked.on_blocked(runner)

    def _run(self) -> None:
        me = getcurrent()
        ready = self._ready
        while True:
            while ready and self._budget > 0:
                self._budget -= 1
                self._current, data = ready.popleft()
                try:
                    self._current.on_data(data)
                except GreenletExit:
                    return
                except BaseException:
                    log.exception("a receiver failed")
                if self._turn is not me:
                    break
            else:
                self._turn = self._current = None
            if not self._park(me):
                return

    def _park(self, me: greenlet) -> bool:
        """Wait in the pool for the next turn; False when this runner must end."""
        if len(self._idle) >= MAX_IDLE:
            return False
        self._idle.append(me)
        try:
            self._to_hub()
        except BaseException as error:
            # A handler's leaked gevent.Timeout, or the pool closing: whoever is hit here must not serve again.
            if me in self._idle:
                self._idle.remove(me)
            if not isinstance(error, GreenletExit):
                log.warning("retired a parked runner that was hit by %r", error)
            return False
        if self._turn is not me:
            self._idle.remove(me)
            log.warning("retired a parked runner that was woken by a stranger")
            return False
        return True
