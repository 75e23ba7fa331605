"""A clock that stands still until the test moves it."""

from __future__ import annotations

__all__ = ["StillClock"]


class StillClock:
    """For tests of plain functions, which need no loop: time passes when `move` says so."""

    def __init__(self, *, time: float = 1_800_000_000.0, monotonic: float = 1_000.0) -> None:
        self._time = time
        self._monotonic = monotonic

    def monotonic(self) -> float:
        """Give seconds that never go back."""
        return self._monotonic

    def time(self) -> float:
        """Give seconds since 1970-01-01 UTC."""
        return self._time

    def move(self, seconds: float) -> None:
        """Let so many seconds pass."""
        if seconds < 0:
            raise ValueError("time does not go back; `jump` sets the date")
        self._monotonic += seconds
        self._time += seconds

    def jump(self, seconds: float) -> None:
        """Set the date forward or back; no time passes."""
        self._time += seconds
