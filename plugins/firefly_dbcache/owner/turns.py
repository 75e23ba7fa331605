"""Turns: those who fail to update a hot row for others' changes queue for it, so that everybody comes to his turn.

A turn is a courtesy, not a lock: the versions alone decide. Who keeps one too long is overtaken.
"""

from __future__ import annotations

import itertools
from collections import deque

import attrs
from gevent.event import Event

from firefly_dbcache.rows.overlay import Place

__all__ = ["Turns"]

LEASE = 0.25
MOST = 10_000


@attrs.define(eq=False)
class _Line:
    holder: int
    waiting: deque[tuple[int, Event]] = attrs.field(factory=deque)


class Turns:
    """The queues of one owner's rows."""

    def __init__(self) -> None:
        self.lines: dict[Place, _Line] = {}
        """The rows that somebody has a turn at; whoever writes one of them without a turn takes one for it."""
        self._count = itertools.count(1)

    def take(self, place: Place) -> int:
        """Wait for the turn, at most LEASE seconds after everybody before; gives its number, 0 for none."""
        turn = next(self._count)
        line = self.lines.get(place)
        if line is None:
            if len(self.lines) >= MOST:
                return 0
            self.lines[place] = _Line(turn)
            return turn
        mine = (turn, Event())
        line.waiting.append(mine)
        try:
            while not mine[1].wait(LEASE):
                if line.waiting[0] is mine:  # whoever has the turn does not come back
                    line.waiting.popleft()
                    line.holder = turn
                    return turn
        except BaseException:
            if mine in line.waiting:
                line.waiting.remove(mine)
            else:
                self.give(place, turn)
            raise
        return turn

    def give(self, place: Place, turn: int) -> None:
        """End a turn; harmless when it was overtaken."""
        line = self.lines.get(place)
        if line is None or line.holder != turn:
            return
        if line.waiting:
            line.holder, event = line.waiting.popleft()
            event.set()
        else:
            del self.lines[place]
