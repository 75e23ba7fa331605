"""The line to the server as a timetable: when to dial, when to give up, when to ask for a sign of life. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable

from firefly_client.limits import Limits

__all__ = ["Line", "Turn"]

FIRST_DELAY, FACTOR, LONGEST_DELAY, JITTER = 0.1, 1.6, 5.0, 0.2


class Turn(enum.Enum):
    """What the time has come for."""

    NOTHING = 0
    DIAL = 1
    PING = 2
    DEAD = 3


class Line:
    """A lost line is dialled after 0.1 s, then 1.6 times as long each time, 5 s at most, each 20 % more or less.

    Only `settled` makes the delay short again.
    """

    def __init__(self, limits: Limits, chance: Callable[[], float], *, heartbeat: bool) -> None:
        self.up = False
        """Whether it stands."""
        self.dialing = False
        """Whether it is being dialled."""
        self._limits = limits
        self._chance = chance
        self._heartbeat = heartbeat
        self._delay = FIRST_DELAY
        self._asked = False
        self.due: float | None = None
        """When `tick` has something to say."""

    def dial(self, now: float) -> None:
        """Note that it is being dialled."""
        self.dialing, self.up = True, False
        self.due = now + self._limits.connect_timeout

    def stands(self, now: float) -> None:
        """Note that it stands."""
        self.dialing, self.up = False, True
        self.heard(now)

    def heard(self, now: float) -> None:
        """Note a sign of life."""
        self._asked = False
        self.due = now + self._limits.heartbeat if self._heartbeat else None

    def settled(self) -> None:
        """Note that a session stands on it: the next delay is the shortest again."""
        self._delay = FIRST_DELAY

    def wait(self, now: float) -> None:
        """Note that it is lost and will be dialled again."""
        self.end()
        self.due = now + self._delay * (1 - JITTER + 2 * JITTER * self._chance())
        self._delay = min(LONGEST_DELAY, self._delay * FACTOR)

    def end(self) -> None:
        """Note that it is not there and will not be dialled by itself."""
        self.dialing = self.up = False
        self.due = None

    def tick(self, now: float) -> Turn:
        """Tell what the time has come for, once."""
        if self.due is None or self.due > now:
            return Turn.NOTHING
        if self.up and not self._asked:
            self._asked = True
            self.due = now + self._limits.heartbeat
            return Turn.PING
        return Turn.DEAD if self.up or self.dialing else Turn.DIAL
