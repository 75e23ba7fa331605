"""HubWatch: how late the hub is, and who holds it up.

A timer in the hub beats twenty times a second and measures how late it comes. A native thread looks at the beat; when
it stays out for longer than the limit, the thread notes what the hub's thread executes. The hub writes one line about
it as soon as it runs again; when that takes very long the thread writes it.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

from gevent import get_hub
from gevent.monkey import get_original

from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.histogram import Histogram

__all__ = ["HubWatch"]

BEAT = 0.05
LONG = 5.0
"""Seconds after which the thread does not wait for the hub to say it."""
QUIET = 1.0
"""Seconds between two lines; what happens meanwhile is counted in the next one."""
FRAMES = 4
NOBODY = "nothing of the game's or Firefly's: the process did not get the processor"
STUBBORN = "something that did not let go of the interpreter"


class HubWatch:
    """Watches the hub of the thread that starts it. `handlers` gives those that a blocked hub may be executing."""

    def __init__(self, log: logging.Logger, limit: float, handlers: Callable[[], Iterable[Handler]]) -> None:
        self._log = log
        self._limit = limit
        self._handlers = handlers
        self._timer: Any = None
        self._thread = 0
        self._beat = 0.0
        """When the hub last ran; the thread reads it."""
        self._used = 0.0
        """Processor time until then."""
        self._seen: tuple[float, str] = (0.0, "")
        """The beat after which the hub stayed out, and what it did then; the thread writes it."""
        self._said = float("-inf")
        self._unsaid = 0
        self._running = False
        self.lag = Histogram()
        self.blocked = 0
        """How often the hub was away for longer than the limit."""
        self.longest = 0.0
        """Seconds of the longest time."""

    def start(self) -> None:
        """Begin to measure; with a limit above 0 also begin to look who it is."""
        self._thread = get_original("_thread", "get_ident")()
        self._beat, self._used = time.monotonic(), time.process_time()
        self._running = True
        # Without a reference: it is no reason for a loop to go on.
        self._timer = get_hub().loop.timer(BEAT, BEAT, False)
        self._timer.start(self._on_beat)
        if self._limit:
            get_original("_thread", "start_new_thread")(self._watch, ())

    def stop(self) -> None:
        """Measure no more; harmless when it never did."""
        self._running = False
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()

    def statistics(self) -> dict[str, float]:
        """Give the current figures."""
        return {"blocked_total": self.blocked, "longest_seconds": self.longest}

    # -------------------------------------------------------------------------------------------------- in the hub

    def _on_beat(self) -> None:
        now = time.monotonic()
        began, self._beat = self._beat, now
        late = max(0.0, now - began - BEAT)
        spent, self._used = time.process_time() - self._used, time.process_time()
        self.lag.add(int(late * 1e9))
        self.longest = max(self.longest, late)
        if self._limit and late > self._limit:
            self.blocked += 1
            beat, where = self._seen
            if beat != began:
                # The thread could not look either: somebody held the interpreter, or the machine was busy elsewhere.
                where = STUBBORN if spent > late / 2 else NOBODY
            self._say(late, where, now)

    def _say(self, late: float, where: str, now: float) -> None:
        if now - self._said < QUIET:
            self._unsaid += 1
            return
        more = f", and {self._unsaid} times more since the last such line" if self._unsaid else ""
        self._said, self._unsaid = now, 0
        self._log.warning("the hub was blocked for %.3f s by %s%s", late, where, more)

    # ------------------------------------------------------------------------------------------------ in the thread

    def _watch(self) -> None:
        sleep = get_original("time", "sleep")
        told = LONG
        while self._running:
            sleep(self._limit / 2)
            beat = self._beat
            away = time.monotonic() - beat - BEAT
            if away <= self._limit:
                told = LONG
            elif self._seen[0] != beat or away > told:
                self._seen = (beat, self._where())
                if away > told and self._running:
                    told *= 2
                    self._shout(away)

    def _shout(self, away: float) -> None:
        """Write a line without the hub, past the locks of the logging module, which are greenlets' locks."""
        text = f"the hub has been blocked for {away:.0f} s by {self._seen[1]}"
        record = self._log.makeRecord(self._log.name, logging.ERROR, __file__, 0, text, (), None)
        for handler in logging.getLogger().handlers:
            handler.emit(record)

    def _where(self) -> str:
        """Say what the hub's thread executes just now: the handler, if it is one, and the innermost lines."""
        frame = sys._current_frames().get(self._thread)
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
