"""The handlers that run by time: `@every` and `@cron`, each in its own greenlet, never overlapping itself.

After a reload a timer goes on in the rhythm that it had, with the new function; what runs just then ends as it began.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import gevent
from cronsim import CronSim
from gevent.event import Event

from firefly_core.kernel.handlers.context import HandlerContext
from firefly_core.kernel.handlers.handlers import Handler

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Timers"]

NAP = 30.0
"""Seconds after which the wall clock is looked at again: it may have been set."""


class Timers:
    """All timers of one server. A run that raises is logged and counted; the next one comes all the same."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._timers: dict[tuple[str, int], _Timer] = {}
        self._running = False
        self.runs = 0
        self.failures = 0
        self.skipped = 0
        """Times at which a run was due while the one before still ran."""

    def start(self) -> None:
        """Begin to run every timer of the kernel's handlers."""
        self._running = True
        self.adopt(self.kernel.handlers.timers)

    def adopt(self, handlers: Iterable[Handler]) -> None:
        """Run these from now on, and no others; neither yields nor raises. Before `start` nothing happens."""
        if not self._running:
            return
        wanted: dict[tuple[str, int], Handler] = {}
        for handler in handlers:
            name = _identity(handler)
            wanted[name, sum(1 for known, _ in wanted if known == name)] = handler
        for key in self._timers.keys() - wanted.keys():
            self._timers.pop(key).change(None)
        for key, handler in wanted.items():
            timer = self._timers.get(key)
            if timer is None:
                timer = self._timers[key] = _Timer(self, handler)
                timer.greenlet = gevent.spawn(timer.run)
            else:
                timer.change(handler)

    def statistics(self) -> dict[str, float]:
        """Give the current figures; counters end in `_total`."""
        return {"runs_total": self.runs, "failures_total": self.failures, "skipped_total": self.skipped}

    def stop(self) -> None:
        """End every timer; a run that is under way is cut."""
        self._running = False
        timers, self._timers = self._timers, {}
        greenlets = [timer.greenlet for timer in timers.values() if timer.greenlet is not None]
        gevent.killall(greenlets, block=True, timeout=1.0)


class _Timer:
    """One timer by its name, whichever function it has at present."""

    def __init__(self, timers: Timers, handler: Handler) -> None:
        self._timers = timers
        self._handler: Handler | None = handler
        self._changed = Event()
        self.greenlet: gevent.Greenlet[[], None] | None = None

    def change(self, handler: Handler | None) -> None:
        """Go on with another handler; None: end, after the run that is under way."""
        self._handler = handler
        self._changed.set()

    def run(self) -> None:
        """Run the handler whenever it is due."""
        clock = self._timers.kernel.clock
        last = clock.monotonic()
        while (handler := self._handler) is not None:
            self._changed.clear()
            last = self._run_every(handler, last) if handler.kind == "every" else self._run_cron(handler, last)

    def _run_every(self, handler: Handler, last: float) -> float:
        """Run until the handler changes; gives when the last run was due."""
        clock = self._timers.kernel.clock
        while True:
            due = last + handler.seconds
            if self._changed_within(due - clock.monotonic()):
                return last
            self._run(handler)
            missed = int(max(0.0, clock.monotonic() - due) / handler.seconds)
            self._timers.skipped += missed
            last = due + missed * handler.seconds

    def _run_cron(self, handler: Handler, last: float) -> float:
        clock = self._timers.kernel.clock
        while True:
            due = next(CronSim(handler.cron, datetime.fromtimestamp(clock.time(), UTC)))
            # A clock that is set back must not run the same minute twice, one that jumps must not sleep past it.
            while (remaining := due.timestamp() - clock.time()) > 0:
                if self._changed_within(min(remaining, NAP)):
                    return last
            self._run(handler)

    def _changed_within(self, seconds: float) -> bool:
        """Wait, and let others run although there is nothing to wait for; whether the handler changes meanwhile."""
        if seconds > 0:
            return self._changed.wait(seconds)
        gevent.sleep(0)
        return self._changed.is_set()

    def _run(self, handler: Handler) -> None:
        timers = self._timers
        context = HandlerContext(timers.kernel, handler)
        timers.runs += 1
        try:
            timers.kernel.callable(handler)(context)
        except gevent.GreenletExit:
            raise
        except BaseException:
            timers.failures += 1
            context.log.exception("@%s %s failed", handler.kind, handler.name)


def _identity(handler: Handler) -> str:
    """Give what stays the same of a timer when its code is made anew."""
    function = handler.function
    return f"{handler.kind} {getattr(function, '__module__', '')}.{getattr(function, '__qualname__', handler.name)}"
