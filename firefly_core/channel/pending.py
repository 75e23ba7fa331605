"""The calls of one channel that wait for their answer."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from firefly_core.channel.alarm import Alarm
from firefly_core.errors import CallError, DeadlineExceeded, Disconnected
from firefly_core.wire.fault import decode_fault

__all__ = ["FIRST_ID", "PendingCall", "PendingCalls"]

PendingCall = tuple[Callable[..., Any], float, int, bool]
"""Whom to tell `(error, result)`, when it ends by itself, its frame's position in the outbox, and whether only the hub
may tell.

A plain tuple, and no object with names, because one is made for each call.
"""
FIRST_ID = 16
"""The smaller ids are the channel's own: hello and ping."""
log = logging.getLogger("firefly.channel")


class PendingCalls:
    """Tells each caller exactly once: the answer, that its deadline has passed, or that the channel is lost.

    An answer is told where it was read, in its place among what else was read: what the peer sent behind it comes after
    it. A greenlet can only be woken in the hub, and there one hears of anything else.

    A call is in `table` exactly as long as nobody has woken it: whoever takes the entry out decides how it ends.
    """

    __slots__ = ("_answers", "_now", "_run_callback", "alarm", "on_expired", "strays", "table")

    def __init__(self, loop: Any, now: Callable[[], float]) -> None:
        self._run_callback = loop.run_callback
        self._now = now
        self.on_expired: Callable[[int, int], None] = lambda _identifier, _position: None
        """Told the id, and the position of the frame, of a call that has not been answered in time."""
        self.alarm = Alarm(loop, now, self._expire)
        self._answers: deque[list[Any]] = deque()
        self.table: dict[int, PendingCall] = {}
        self.strays = 0
        """Responses to calls that had ended, or never were."""

    def take(self, message: list[Any]) -> None:
        """Bring a response to whoever waits for it."""
        identifier = message[1]
        call = self.table.get(identifier)
        if call is None:
            self.strays += 1
        elif call[3]:
            if not self._answers:
                self._run_callback(self._tell)
            self._answers.append(message)
        else:
            del self.table[identifier]
            error = message[2]
            try:
                call[0](None if error is None else decode_fault(error), message[3])
            except Exception:
                log.exception("the callback of a call failed")

    def _tell(self) -> None:
        """Tell, in the hub, those who can only be told there."""
        answers = self._answers
        pop = self.table.pop
        try:
            while answers:
                message = answers.popleft()
                call = pop(message[1], None)
                if call is None:
                    self.strays += 1
                else:
                    error = message[2]
                    call[0](None if error is None else decode_fault(error), message[3])
        except Exception:
            log.exception("the callback of a call failed")
        finally:
            if answers:
                self._run_callback(self._tell)

    def fail(self, reason: str, first: int) -> None:
        """End every call, because the channel is lost; frames from position `first` on were never sent."""
        while self._answers:
            self._tell()
        self.alarm.stop()
        while self.table:
            identifier = next(iter(self.table))
            sent = self.table[identifier][2] < first
            self._end(identifier, Disconnected(f"the channel was lost: {reason}", sent=sent))

    def _expire(self) -> None:
        now = self._now()
        for identifier in [key for key, call in self.table.items() if call[1] <= now]:
            call = self.table.get(identifier)
            if call is not None:
                self.on_expired(identifier, call[2])
                self._end(identifier, DeadlineExceeded("no answer in time"))
        if self.table:
            self.alarm.set(min(call[1] for call in self.table.values()))

    def _end(self, identifier: int, error: CallError) -> None:
        call = self.table.pop(identifier)
        try:
            call[0](error, None)
        except Exception:
            log.exception("the callback of a call failed")
