"""The rate of a session: who sends more than it allows is read slower, and ended when he is far beyond it."""

from __future__ import annotations

from firefly_core.kernel.config.config import Rate
from firefly_core.kernel.kernel import Kernel
from firefly_gate.connection import Connection
from firefly_gate.counts import Counts

__all__ = ["Throttle"]

UNLIMITED = 256
"""Messages after which a session without a rate begins anew: a number that takes no memory of its own."""
TOO_FAST = 15.0
"""Seconds' worth of messages by which a client may be ahead of its rate: three times the rate for five seconds."""


class Throttle:
    """Earns each session its messages; without a rate nobody is slowed down."""

    def __init__(self, kernel: Kernel, rate: Rate | None, counts: Counts) -> None:
        self._kernel = kernel
        self._rate = rate
        self._counts = counts
        self.burst = int(rate.count * 2) if rate is not None else UNLIMITED
        """Messages that a new session may send at once; a whole number, because those are cheaper to count down."""

    def slow(self, session: Connection) -> None:
        """See to a session that has used up its allowance: read nothing of it until it has earned the next message."""
        rate = self._rate
        if rate is None:
            session.allowance = self.burst
            return
        now = self._kernel.clock.monotonic()
        earned = int((now - session.refilled) * rate.per_second)
        session.allowance = min(self.burst, session.allowance + earned)
        # Not `now`: what it has earned of the next message stays its own.
        session.refilled += earned / rate.per_second
        if session.allowance >= 0:
            return
        self._counts.throttled += 1
        if -session.allowance > TOO_FAST * rate.per_second:
            session.say_goodbye("too_fast")
            return
        session.throttled = True
        session.stream.pause_reading()
        self._kernel.deadlines.arm(-session.allowance / rate.per_second, lambda: _release(session))


def _release(session: Connection) -> None:
    session.throttled = False
    if not session.paused:
        session.resume()
