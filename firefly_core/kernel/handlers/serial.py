"""One command at a time: the part of a session that runs handlers, with a deadline that costs nothing until one parks.

The context of the running command is its token: a deadline throws only into a runner that still carries it.
"""

from __future__ import annotations

import logging

from greenlet import greenlet

from firefly_core.channel.deadlines import Deadline, Deadlines
from firefly_core.errors import CommandTimeout
from firefly_core.kernel.handlers.context import Context

__all__ = ["Serial"]

log = logging.getLogger("firefly.serial")


class Serial:
    """A receiver that runs one handler at a time.

    A subclass sets `running` around each handler that it calls, calls `arm` first when `parked` is set, clears `parked`
    when its `on_data` ends, and calls `disarm` when it ends itself.

    A session has one deadline at most, however many handlers park: it is left armed when a handler is done, and looks
    at the one that runs then. One a handler would wait in the timer wheel for all of its seconds, though cancelled.
    """

    __slots__ = ("_alarm", "parked", "running")

    deadlines: Deadlines
    """The kernel's deadlines; the subclass gives it."""

    def __init__(self) -> None:
        self.running: Context | None = None
        """The command that runs now."""
        self.parked: greenlet | None = None
        """The runner that stays with this session, because a handler parked on it; None while none has."""
        self._alarm: tuple[float, Deadline] | None = None
        """When it looks whether the running command is over its time, and the deadline that wakes it then."""

    def on_blocked(self, runner: greenlet) -> None:
        """Note that the running command parked, and arm its deadline."""
        self.parked = runner
        if self.running is not None:
            self.arm(self.running)

    def arm(self, context: Context) -> None:
        """See to it that the command of `context` is cut at its deadline."""
        due = context.deadline
        if due is None:
            return
        if self._alarm is not None:
            if self._alarm[0] <= due:
                return
            self._alarm[1].cancel()
        self._alarm = due, self.deadlines.arm(due - self.deadlines.now(), self._look)

    def disarm(self) -> None:
        """Cut nothing any more, unless a command still runs."""
        if self._alarm is not None and self.running is None:
            self._alarm[1].cancel()
            self._alarm = None

    def _look(self) -> None:
        self._alarm = None
        context, parked = self.running, self.parked
        if context is None or parked is None or parked.dead or context.deadline is None:
            return
        if context.deadline > self.deadlines.now():
            self.arm(context)
            return
        log.warning("cut %s at its deadline, trace=%s", context.command.name, context.trace)
        parked.throw(CommandTimeout())
