"""HubWatch: how late the hub is, and who holds it up.

A timer in the hub beats twenty times a second, measures how late it comes, and puts off an alarm. When the hub stays
out for longer than the limit, the alarm rings: SIGALRM interrupts what the main thread executes, and that is noted. The
hub writes one line about it as soon as it runs again; when that takes very long, the alarm writes it.

A signal and no thread: a process with a second thread takes longer over each system call, 2 % of a gate's messages.
What is written in C is interrupted where it waits, or when it returns: it is named either way.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

from gevent import get_hub

from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.histogram import Histogram

__all__ = ["HubWatch"]

BEAT = 0.05
LONG = 5.0
"""Seconds after which the alarm does not wait for the hub to say it."""
QUIET = 1.0
"""Seconds between two lines; what happens meanwhile is counted in the next one."""
FRAMES = 4
NOBODY = "nothing of the game's or Firefly's: the process did not get the processor"
STUBBORN = "something that was not looked at: an import, or a game has SIGALRM for itself"
FREE = frozenset((signal.SIG_DFL, signal.SIG_IGN, None))


class HubWatch:
    """Watches the hub of the main thread. `handlers` gives those that a blocked hub may be executing.

    SIGALRM is its own while it runs, unless the game has a handler for it: then nobody is named.
    """

    def __init__(self, log: logging.Logger, limit: float, handlers: Callable[[], Iterable[Handler]]) -> None:
        self._log = log
        self._limit = limit
        self._handlers = handlers
        self._timer: Any = None
        self._ring = self._on_alarm
        self._beat = 0.0
        """When the hub last ran."""
        self._used = 0.0
        """Processor time until then."""
        self._seen: tuple[float, str] = (0.0, "")
        """The beat after which the hub stayed out, and what it did then."""
        self._told = LONG
        """Seconds of being away after which the alarm says it."""
        self._said = float("-inf")
        self._unsaid = 0
        self.lag = Histogram()
        self.blocked = 0
        """How often the hub was away for longer than the limit."""
        self.longest = 0.0
        """Seconds of the longest time."""

    def start(self) -> None:
        """Begin to measure; with a limit above 0 also begin to look who it is. Only in the main thread."""
        self._beat, self._used = time.monotonic(), time.process_time()
        # Without a reference: it is no reason for a loop to go on.
        self._timer = get_hub().loop.timer(BEAT, BEAT, False)
        self._timer.start(self._on_beat)
        if self._limit and signal.getsignal(signal.SIGALRM) in FREE:
            signal.signal(signal.SIGALRM, self._ring)

    def stop(self) -> None:
        """Measure no more; harmless when it never did."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()
        if self._rings():
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _rings(self) -> bool:
        """Whether the alarm is ours just now: an import that must end soon has it for a while (`cut`)."""
        return signal.getsignal(signal.SIGALRM) is self._ring

    def statistics(self) -> dict[str, float]:
        """Give the current figures."""
        return {"blocked_total": self.blocked, "longest_seconds": self.longest}

    # -------------------------------------------------------------------------------------------------- in the hub

    def _on_beat(self) -> None:
        now = time.monotonic()
        began, self._beat = self._beat, now
        late = max(0.0, now - began - BEAT)
        spent, self._used = time.process_time() - self._used, time.process_time()
        if self._rings():
            self._told = LONG
            signal.setitimer(signal.ITIMER_REAL, BEAT + self._limit)
        self.lag.add(int(late * 1e9))
        self.longest = max(self.longest, late)
        if self._limit and late > self._limit:
            self.blocked += 1
            beat, where = self._seen
            if beat != began:
                # The alarm did not look either: it is not ours, or the machine was busy elsewhere.
                where = STUBBORN if spent > late / 2 else NOBODY
            self._say(late, where, now)

    def _say(self, late: float, where: str, now: float) -> None:
        if now - self._said < QUIET:
            self._unsaid += 1
            return
        more = f", and {self._unsaid} times more since the last such line" if self._unsaid else ""
        self._said, self._unsaid = now, 0
        self._log.warning("the hub was blocked for %.3f s by %s%s", late, where, more)

    # ------------------------------------------------------------------------------------------------- in the alarm

    def _on_alarm(self, _signal: int, frame: FrameType | None) -> None:
        # Wherever the main thread is: nothing here may switch, wait or raise.
        away = time.monotonic() - self._beat - BEAT
        if away <= self._limit:
            return
        if self._seen[0] != self._beat or away > self._told:
            self._seen = (self._beat, self._where(frame))
        if away > self._told:
            self._told *= 2
            self._shout(away)
        signal.setitimer(signal.ITIMER_REAL, max(self._told - away, BEAT))

    def _shout(self, away: float) -> None:
        """Write a line without the hub, past the locks of the logging module, which are greenlets' locks."""
        text = f"the hub has been blocked for {away:.0f} s by {self._seen[1]}"
        record = self._log.makeRecord(self._log.name, logging.ERROR, __file__, 0, text, (), None)
        for handler in logging.getLogger().handlers:
            # It may have interrupted just such a line; that one goes on afterwards.
            with contextlib.suppress(Exception):
                handler.emit(record)

    def _where(self, frame: FrameType | None) -> str:
        """Say what the main thread executes in `frame`: the handler, if it is one, and the innermost lines."""
        frames: list[FrameType] = []
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
        if not frames or _is_loop(frames[0]):
            return NOBODY
        known = _codes(self._handlers())
        handler = next((known[each.f_code] for each in frames if each.f_code in known), None)
        lines = " < ".join(
            f"{_short(each.f_code.co_filename)}:{each.f_lineno} {each.f_code.co_name}" for each in frames[:FRAMES]
        )
        return f"{handler.kind} {handler.name} at {lines}" if handler is not None else lines


def _codes(handlers: Iterable[Handler]) -> dict[CodeType, Handler]:
    return {
        code: handler
        for handler in list(handlers)
        if isinstance(code := getattr(handler.function, "__code__", None), CodeType)
    }


def _short(path: str) -> str:
    """Give the last two parts of a file's path."""
    return "/".join(path.rsplit("/", 2)[-2:])


def _is_loop(frame: FrameType) -> bool:
    """Whether a frame is the hub's own, which only waits for events."""
    return frame.f_code.co_name == "run" and frame.f_globals.get("__name__") == "gevent.hub"
