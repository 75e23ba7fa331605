"""The handlers that run by time: `@every` and `@cron`, each in its own greenlet, never overlapping itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import gevent
from cronsim import CronSim

from firefly_core.kernel.context import HandlerContext
from firefly_core.kernel.handlers import Handler

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Timers"]


class Timers:
    """All timers of one server. A run that raises is logged and counted; the next one comes all the same."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._greenlets: list[gevent.Greenlet[[Handler], None]] = []
        self.runs = 0
        self.failures = 0
        self.skipped = 0
        """Times at which a run was due while the one before still ran."""

    def start(self) -> None:
        """Begin to run every timer of the kernel's handlers."""
        for handler in self._kernel.handlers.timers:
            run = self._run_every if handler.kind == "every" else self._run_cron
            self._greenlets.append(gevent.spawn(run, handler))

    def statistics(self) -> dict[str, float]:
        """Give the current figures; counters end in `_total`."""
        return {"runs_total": self.runs, "failures_total": self.failures, "skipped_total": self.skipped}

    def stop(self) -> None:
        """End every timer; a run that is under way is cut."""
        greenlets, self._greenlets = self._greenlets, []
        gevent.killall(greenlets, block=True, timeout=1.0)

    def _run_every(self, handler: Handler) -> None:
        clock = self._kernel.clock
        due = clock.monotonic() + handler.seconds
        while True:
            gevent.sleep(max(0.0, due - clock.monotonic()))
            self._run(handler)
            missed = int(max(0.0, clock.monotonic() - due) / handler.seconds)
            self.skipped += missed
            due += (missed + 1) * handler.seconds

    def _run_cron(self, handler: Handler) -> None:
        clock = self._kernel.clock
        while True:
            now = datetime.fromtimestamp(clock.time(), UTC)
            due = next(CronSim(handler.cron, now))
            # A clock that is set back must not run the same minute twice, one that jumps must not sleep past it.
            while (remaining := due.timestamp() - clock.time()) > 0:
                gevent.sleep(min(remaining, 30.0))
            self._run(handler)

    def _run(self, handler: Handler) -> None:
        context = HandlerContext(self._kernel, handler)
        self.runs += 1
        try:
            self._kernel.callable(handler)(context)
        except gevent.GreenletExit:
            raise
        except BaseException:
            self.failures += 1
            context.log.exception("@%s %s failed", handler.kind, handler.name)
