"""The peer's requests that are not answered yet: handlers that blocked, and answers that were put off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from greenlet import greenlet

from firefly_core.channel.alarm import Alarm
from firefly_core.errors import CommandTimeout

__all__ = ["RunningHandler", "RunningRequests", "Unanswered"]


class Unanswered(Protocol):
    """A request that has begun and is not answered."""

    expires: float

    def cancel(self, why: str) -> None:
        """Make it end soon; in the hub."""


class RunningHandler:
    """A handler that blocked, and the runner that carries it; known only while it does."""

    __slots__ = ("_table", "counted", "expires", "identifier", "runner")

    def __init__(
        self,
        table: dict[greenlet, RunningHandler],
        runner: greenlet,
        identifier: int | None,
        expires: float,
        counted: bool,
    ) -> None:
        self._table = table
        self.runner = runner
        self.identifier = identifier
        self.expires = expires
        self.counted = counted

    def cancel(self, why: str) -> None:
        """Throw CommandTimeout into the handler, if its runner still carries it."""
        if self._table.get(self.runner) is self:
            self.runner.throw(CommandTimeout(why))


class RunningRequests:
    """Ends each request at its deadline, and knows how many handlers run."""

    __slots__ = ("_alarm", "_now", "_run_callback", "_table", "by_id", "count")

    def __init__(self, loop: Any, now: Callable[[], float]) -> None:
        self._run_callback = loop.run_callback
        self._now = now
        self._alarm = Alarm(loop, now, self._expire)
        self._table: dict[greenlet, RunningHandler] = {}
        self.by_id: dict[int, Unanswered] = {}
        self.count = 0
        """Handlers that count against the channel's bound, those cancelled included until they have ended."""

    def park(self, runner: greenlet, identifier: int | None, expires: float, counted: bool) -> None:
        """Note that `runner` blocked in the handler of a request (or of a notification: no identifier)."""
        handler = RunningHandler(self._table, runner, identifier, expires, counted)
        self._table[runner] = handler
        self.count += counted
        if identifier is not None:
            self.by_id[identifier] = handler
        self._alarm.set(expires)

    def leave(self, runner: greenlet) -> None:
        """Note that `runner` has come out of the handler it blocked in, if it had."""
        handler = self._table.pop(runner, None)
        if handler is not None:
            self.count -= handler.counted
            if handler.identifier is not None:
                del self.by_id[handler.identifier]

    def put_off(self, identifier: int, request: Unanswered) -> None:
        """Note a request that will be answered later."""
        self.by_id[identifier] = request
        self._alarm.set(request.expires)

    def cancel(self, identifier: int, why: str) -> None:
        """Make a request end soon; one that is not known has ended already."""
        request = self.by_id.get(identifier)
        if request is not None:
            self._run_callback(request.cancel, why)

    def _expire(self) -> None:
        now = self._now()
        requests: list[Unanswered] = [*self._table.values()]
        requests += [request for request in self.by_id.values() if not isinstance(request, RunningHandler)]
        waiting = [request for request in requests if request.expires > now]
        for request in requests:
            if request.expires <= now:
                request.expires = float("inf")
                request.cancel("the deadline has passed")
        if waiting:
            self._alarm.set(min(request.expires for request in waiting))
