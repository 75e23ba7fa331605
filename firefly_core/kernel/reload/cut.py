"""Cut: run somebody else's code that must end soon, and say what became of it.

A spin is cut by SIGALRM, a wait by an exception thrown into the waiting greenlet. What cannot be cut (code that
swallows every exception and goes on) ends the process with a line that names it: a check must never hang.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

import gevent
from gevent import get_hub, getcurrent

from firefly_core.errors import ExitStatus

__all__ = ["LIMIT", "Overtime", "Raised", "cut"]

LIMIT = 5.0
"""Seconds that an import or an offer may take."""
AGAIN = 0.5
TRIES = 4

T = TypeVar("T")


class Overtime(BaseException):
    """Thrown into code that took too long; a BaseException, so that `except Exception` does not swallow it."""


class Raised(Exception):
    """The code raised or took too long; the text says which, on one line."""


def _say(error: BaseException) -> str:
    """Give one printable line about an error, whatever its own text is like."""
    kind = type(error).__name__
    try:
        if isinstance(error, SyntaxError) and error.lineno:
            text = f"{error.msg} ({error.filename}:{error.lineno})"
        else:
            text = str(error).strip().partition("\n")[0][:300]
    except Exception:
        return f"raised {kind}, whose text cannot be had"
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text.strip())
    return f"raised {kind}: {text}" if text else f"raised {kind}"


class _Alarm:
    """One running limit; restores whatever alarm was set before."""

    def __init__(self, what: str, limit: float, status: int) -> None:
        self.what = what
        self.limit = limit
        self.status = status
        self.fired = 0
        self.over = False
        """Whether the code has ended, or what ends it is on its way."""
        self.runner = getcurrent()

    def __enter__(self) -> _Alarm:
        self.began = time.monotonic()
        self.old_handler = signal.signal(signal.SIGALRM, self.ring)
        self.old_timer = signal.setitimer(signal.ITIMER_REAL, self.limit, AGAIN)
        return self

    def __exit__(self, *_: object) -> None:
        self.over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.old_handler)
        remaining, interval = self.old_timer
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, remaining - (time.monotonic() - self.began)), interval)

    def ring(self, _signal: int, _frame: FrameType | None) -> None:
        self.fired += 1
        if self.fired > TRIES:
            os.write(2, f"{self.what} took longer than {self.limit:g} s and cannot be cut\n".encode())
            os._exit(self.status)
        current = getcurrent()
        if current is self.runner:
            raise Overtime
        if self.fired > 1 and current is not get_hub():
            raise Overtime  # the hub was not reached since the last time: this greenlet is what spins
        get_hub().loop.run_callback_threadsafe(self._throw)

    def _throw(self) -> None:
        if not self.over:
            self.over = True
            self.runner.throw(Overtime)


def cut(
    what: str,
    function: Callable[..., T],
    *args: Any,
    limit: float = LIMIT,
    status: int = ExitStatus.CONFIGURATION,
) -> T:
    """Call `function(*args)` and give its result.

    `what` names it in the last line of a process that must be ended because it cannot be cut, `status` is that one's.

    Raises Raised for whatever it raised (SystemExit too) and when it took longer than `limit` seconds. Outside of the
    main thread there is no cut. KeyboardInterrupt and GreenletExit pass.
    """
    try:
        # A greenlet of the main thread is no "main thread" to patched threading; the system's own number is.
        if threading.get_native_id() != os.getpid():
            return function(*args)
        with _Alarm(what, limit, status):
            return function(*args)
    except Overtime:
        raise Raised(f"took longer than {limit:g} s") from None
    except (KeyboardInterrupt, gevent.GreenletExit):
        raise
    except BaseException as error:
        raise Raised(_say(error)) from error
