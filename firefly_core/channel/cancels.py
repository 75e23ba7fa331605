"""How many cancels one side may send: a flood of them makes work without end (CVE-2023-44487)."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["CancelWindow"]


class CancelWindow:
    """Counts in windows of fixed length."""

    __slots__ = ("_begin", "_limit", "_now", "_seconds", "count")

    def __init__(self, limit: int, seconds: float, now: Callable[[], float]) -> None:
        self._limit = limit
        self._seconds = seconds
        self._now = now
        self._begin = now()
        self.count = 0
        """How many were taken in this window."""

    def take(self) -> bool:
        """Count one more; False when that is too many."""
        now = self._now()
        if now - self._begin >= self._seconds:
            self._begin = now
            self.count = 0
        if self.count >= self._limit:
            return False
        self.count += 1
        return True
