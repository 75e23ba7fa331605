"""What time it is: handed in, so that a test may hand in a virtual one."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Two clocks: one for durations, one for dates."""

    def monotonic(self) -> float:
        """Give seconds that never go back; only differences mean something."""

    def time(self) -> float:
        """Give seconds since 1970-01-01 UTC; may jump."""


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)
