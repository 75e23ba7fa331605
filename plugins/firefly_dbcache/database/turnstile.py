"""A number of turns, given in the order of asking: who gives one back and asks again comes behind those who wait."""

from __future__ import annotations

from collections import deque

from gevent.event import Event

__all__ = ["Turnstile"]


class Turnstile:
    """A semaphore that starves nobody; gevent's own lets whoever runs overtake whoever waits."""

    def __init__(self, turns: int) -> None:
        self._free = turns
        self._waiting: deque[Event] = deque()

    def acquire(self, timeout: float) -> bool:
        """Wait for a turn; False when there is none in time."""
        if self._free:
            self._free -= 1
            return True
        mine = Event()
        self._waiting.append(mine)
        try:
            if mine.wait(timeout):
                return True
        except BaseException:
            self._leave(mine)
            raise
        if mine.is_set():
            return True
        self._leave(mine)
        return False

    def _leave(self, mine: Event) -> None:
        """Stop waiting; a turn that came at the last moment is passed on."""
        if mine.is_set():
            self.release()
        else:
            self._waiting.remove(mine)

    def release(self) -> None:
        """Give a turn back."""
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._free += 1
