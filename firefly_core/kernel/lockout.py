"""Lockout: who fails too often must wait. For logins of players and tokens of operators alike."""

from __future__ import annotations

from collections.abc import Hashable

from firefly_core.channel.clock import Clock

__all__ = ["Lockout"]

MAX_KEYS = 65_536
"""Keys that are remembered; beyond that the oldest are forgotten."""


class Lockout:
    """Counts failures by key: `most` of them within `seconds` lock the key for as long, from the last one on."""

    def __init__(self, clock: Clock, most: int, seconds: float) -> None:
        self._clock = clock
        self._most = most
        self._seconds = seconds
        self._failures: dict[Hashable, list[float]] = {}

    def locked(self, key: Hashable) -> bool:
        """Whether `key` must wait."""
        failures = self._recent(key)
        return len(failures) >= self._most

    def failed(self, key: Hashable) -> None:
        """Count a failure."""
        failures = [*self._recent(key), self._clock.monotonic()][-self._most :]
        self._failures.pop(key, None)
        self._failures[key] = failures
        if len(self._failures) > MAX_KEYS:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, key: Hashable) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)

    def _recent(self, key: Hashable) -> list[float]:
        failures = self._failures.get(key)
        if failures is None:
            return []
        if failures[-1] <= self._clock.monotonic() - self._seconds:
            del self._failures[key]
            return []
        return failures
