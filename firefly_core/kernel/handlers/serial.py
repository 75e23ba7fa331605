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

    A subclass sets `running` around each handler that it calls, calls `arm` first when `parked` is set, `disarm` when
    the handler is done, and clears `parked` when its `on_data` ends.
    """

    __slots__ = ("_deadline", "parked", "running")

    deadlines: Deadlines
    """The kernel's deadlines; the subclass gives it."""

    def __init__(self) -> None:
        self.running: Context | None = None
        """The command that runs now."""
        self.parked: greenlet | None = None
        """The runner that stays with this session, because a handler parked on it; None while none has."""
        self._deadline: Deadline | None = None

    def on_blocked(self, runner: greenlet) -> None:
        """Note that the running command parked, and arm its deadline."""
        self.parked = runner
        if self.running is not None:
            self.arm(self.running)

    def arm(self, context: Context) -> None:
        """Cut the command of `context` at its deadline."""
        remaining = context.remaining()
        if remaining is not None:
            self._deadline = self.deadlines.arm(remaining, lambda: self._expire(context))

    def disarm(self) -> None:
        """Note that the command which `arm` was called for is done."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self, context: Context) -> None:
        if self.running is context and self.parked is not None and not self.parked.dead:
            log.warning("cut %s at its deadline, trace=%s", context.command.name, context.trace)
            self.parked.throw(CommandTimeout())
