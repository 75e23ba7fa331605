"""The clock of a virtual world, handed to kernels: it moves with the loop, and its date can be made to jump."""

from __future__ import annotations

from firefly_core.testing.virtual_loop import EPOCH, VirtualLoop
from firefly_core.testing.watchers import NANOSECONDS

__all__ = ["VirtualClock"]

MONOTONIC_START = 1_000.0
"""What `monotonic` gives at the beginning, unless told otherwise; not zero, which no real clock gives."""


class VirtualClock:
    """A server's view of the time. Each server of a cluster may have one of its own, set wrong by `jump`."""

    __slots__ = ("_loop", "_skew", "_start")

    def __init__(self, loop: VirtualLoop, *, start: float = MONOTONIC_START) -> None:
        self._loop = loop
        self._skew = 0.0
        self._start = start

    def monotonic(self) -> float:
        """Give seconds that never go back; no jump moves them."""
        return self._start + self._loop.nanoseconds / NANOSECONDS

    def time(self) -> float:
        """Give seconds since 1970-01-01 UTC, as this clock believes."""
        return EPOCH + self._skew + self._loop.nanoseconds / NANOSECONDS

    def jump(self, seconds: float) -> None:
        """Set the date forward, or back where `seconds` is negative, as an administrator or NTP would."""
        self._skew += seconds
