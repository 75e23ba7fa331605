"""One timer for a table of deadlines: it rings at the earliest, and whoever hears it looks through his table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

__all__ = ["Alarm"]

SHORTEST = 0.001
"""Seconds to wait when the timer was early; less might not move a clock at all."""


class Alarm:
    """Rings in the hub at the earliest moment it was set to; `ring` must neither block nor raise, and sets it anew.

    A table whose entries mostly end before their deadline costs one comparison an entry with this: the timer moves
    only when an entry is due before all others, and stays where it is when that entry ends.
    """

    __slots__ = ("_loop", "_now", "_ring", "_timer", "at")

    def __init__(self, loop: Any, now: Callable[[], float], ring: Callable[[], None]) -> None:
        self._loop = loop
        self._now = now
        self._ring = ring
        self._timer: Any = None
        self.at = math.inf
        """When it rings next; infinity: not at all."""

    def set(self, moment: float) -> None:
        """Ring at `moment`, where that is earlier than what it is set to."""
        if moment >= self.at:
            return
        self.stop()
        self._arm(moment, max(0.0, moment - self._now()))

    def stop(self) -> None:
        """Do not ring."""
        self.at = math.inf
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def _arm(self, moment: float, delay: float) -> None:
        self.at = moment
        self._timer = self._loop.timer(delay)
        self._timer.start(self._on_timer)

    def _on_timer(self) -> None:
        moment = self.at
        self.stop()
        early = moment - self._now()
        if early > 0:
            # The loop's clock and ours differ by a little; nothing may end before its time.
            self._arm(moment, max(early, SHORTEST))
        else:
            self._ring()
