"""The requests of one client that are not answered yet, in order, with their deadlines."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Pending", "Requests"]


@dataclass(slots=True)
class Pending:
    """One request (or, without id, a notify) on its way."""

    id: int | None
    command: int | str
    body: bytes
    deadline: float
    sent: bool = False
    urgent: bool = False
    """Whether it belongs to the making of the session: it neither waits for that nor outlives its line."""


class Requests:
    """Hands out ids, which are never used twice, and keeps every request until it has ended.

    At most `window` are on the line at once: a server repeats its last 32 answers, so with no more than that an answer
    that was lost with the line can always be repeated, and nothing is executed twice.
    """

    def __init__(self, window: int, limit: int) -> None:
        self._window = window
        self._limit = limit
        self._last = 0
        self._open: dict[int, Pending] = {}
        self._queue: deque[Pending] = deque()
        self._deadlines: list[tuple[float, int]] = []

    @property
    def next_deadline(self) -> float | None:
        """When the next open request is late."""
        while self._deadlines and self._deadlines[0][1] not in self._open:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def new_id(self) -> int:
        """Give an id that was never used."""
        self._last += 1
        return self._last

    def full(self, now: float) -> bool:
        """Tell whether so many wait that one more is too many; those whose time is over do not count."""
        if len(self._queue) >= self._limit:
            self._queue = deque(pending for pending in self._queue if self._is_wanted(pending, now))
        return len(self._queue) >= self._limit

    def add(self, pending: Pending) -> None:
        """Note a request; it waits in the queue unless it is urgent."""
        if pending.id is not None:
            self._open[pending.id] = pending
            heapq.heappush(self._deadlines, (pending.deadline, pending.id))
        if not pending.urgent:
            self._queue.append(pending)

    def end(self, identity: int) -> Pending | None:
        """Let go a request that has ended."""
        return self._open.pop(identity, None)

    def late(self, now: float) -> list[Pending]:
        """Let go those whose deadline has passed, and give them."""
        found = []
        while (due := self.next_deadline) is not None and due <= now:
            _, identity = heapq.heappop(self._deadlines)
            found.append(self._open.pop(identity))
        return found

    def to_repeat(self) -> list[Pending]:
        """Give those that were sent and are not answered, in order."""
        return [pending for pending in self._open.values() if pending.sent and not pending.urgent]

    def take(self, which: Callable[[Pending], bool]) -> list[Pending]:
        """Let go those requests, and give them."""
        chosen = {identity: pending for identity, pending in self._open.items() if which(pending)}
        for identity in chosen:
            del self._open[identity]
        return list(chosen.values())

    def clear(self) -> list[Pending]:
        """Let go everything, and give the requests."""
        self._queue.clear()
        return self.take(lambda _: True)

    def ready(self, now: float) -> Iterator[Pending]:
        """Give those that may go on the line now; they count as sent."""
        if not self._queue:
            return
        room = self._window - sum(pending.sent for pending in self._open.values())
        while self._queue and (room > 0 or self._queue[0].id is None):
            pending = self._queue.popleft()
            if self._is_wanted(pending, now):
                room -= pending.id is not None
                pending.sent = True
                yield pending

    def _is_wanted(self, pending: Pending, now: float) -> bool:
        return pending.deadline > now if pending.id is None else pending.id in self._open
