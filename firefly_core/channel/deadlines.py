"""Many coarse deadlines on one timer: arming and cancelling cost next to nothing, and waiting costs nothing."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable
from typing import Any

from firefly_core.channel.clock import Clock

__all__ = ["Deadline", "Deadlines"]

TICK = 0.05
log = logging.getLogger("firefly.deadlines")


class Deadline:
    """One armed deadline."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    @property
    def armed(self) -> bool:
        """Whether it has neither fired nor been cancelled."""
        return self._callback is not None

    def cancel(self) -> None:
        """Make it never fire; harmless when it already has."""
        self._callback = None

    def _fire(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Deadlines:
    """A timer wheel with ticks of 50 ms: a deadline fires up to one tick late and never early."""

    def __init__(self, loop: Any, clock: Clock) -> None:
        self._clock = clock
        self.now = clock.monotonic
        """The clock that the deadlines follow."""
        self._timer = loop.timer(0)
        self._loop = loop
        self._buckets: dict[int, list[Deadline]] = {}
        self._ticks: list[int] = []
        self._next: int | None = None

    def arm(self, seconds: float, callback: Callable[[], None]) -> Deadline:
        """Call `callback` in the hub once `seconds` have passed; it must not block."""
        deadline = Deadline(callback)
        tick = int((self._clock.monotonic() + seconds) / TICK) + 1
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket.append(deadline)
            return deadline
        self._buckets[tick] = [deadline]
        heapq.heappush(self._ticks, tick)
        if self._next is None or tick < self._next:
            self._schedule()
        return deadline

    def statistics(self) -> dict[str, float]:
        """Give the current figures; a cancelled deadline is held until its time has come."""
        return {"held": sum(map(len, self._buckets.values())), "ticks": len(self._ticks)}

    def close(self) -> None:
        """Forget every deadline and release the timer."""
        self._timer.stop()
        self._timer.close()
        self._buckets.clear()
        self._ticks.clear()

    def _schedule(self) -> None:
        self._timer.stop()
        self._next = self._ticks[0] if self._ticks else None
        if self._next is None:
            return
        delay = max(0.0, self._next * TICK - self._clock.monotonic())
        self._timer.close()
        self._timer = self._loop.timer(delay)
        self._timer.start(self._fire)

    def _fire(self) -> None:
        # The same product as in `_schedule`: a quotient may be rounded so that a tick is neither due nor yet to come.
        now = self._clock.monotonic()
        while self._ticks and self._ticks[0] * TICK <= now:
            for deadline in self._buckets.pop(heapq.heappop(self._ticks)):
                try:
                    deadline._fire()
                except Exception:
                    log.exception("a deadline's callback failed")
        self._schedule()
