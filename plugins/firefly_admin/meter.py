"""Meter: how often one handler ran, how long it took, how it ended, and whether it is switched off.

It stands on the path of every command, so it counts in plain ints. Two looks at the clock cost more than all of that:
a handler that runs often is timed once in sixteen runs, which then counts for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from gevent import GreenletExit

from firefly_core.errors import CallError, Refuse, client_error
from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.histogram import Histogram

__all__ = ["Meter"]

OFTEN = 500
"""Runs between two looks at a meter from which on only some are timed."""
SKIP = 15
"""One less than the number of runs of which one is timed then; a mask."""


class Meter:
    """The figures of one handler; they outlive its reload."""

    __slots__ = ("_looked", "errors", "id", "kind", "name", "off", "runs", "skip", "took")

    def __init__(self, kind: str, name: str, id: int) -> None:
        self.kind = kind
        self.name = name
        self.id = id
        self.off = False
        """Whether it is refused with `disabled`."""
        self.runs = 0
        self.skip = 0
        """A run whose number has one of these bits is not timed."""
        self.took = Histogram()
        """How long its runs took, failed ones too."""
        self.errors: Counter[str] = Counter()
        """How its runs failed, by the code that the client is told."""
        self._looked = 0

    def look(self) -> dict[str, Any]:
        """Give the figures as plain values; what did not run often since the last look is timed each time from now."""
        if self.runs - self._looked <= OFTEN:
            self.skip = 0
        self._looked = self.runs
        return {
            "kind": self.kind,
            "name": self.name,
            "id": self.id,
            "off": self.off,
            "runs": self.runs,
            "buckets": self.took.plain(),
            "total": self.took.total,
            "errors": dict(self.errors),
        }

    def around(self, handler: Handler, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give `function` with the counting around it, in the form that costs least for its parameters."""
        if handler.kind in ("remote", "route"):
            return self._around_any(function)
        return self._around_one(function) if handler.parameters else self._around_none(function)

    def _time(self, began: int) -> None:
        weight = self.skip + 1
        elapsed = perf_counter_ns() - began
        self.took.buckets[(elapsed >> 10).bit_length()] += weight
        self.took.total += elapsed * weight
        if self.runs - self._looked > OFTEN:
            self.skip = SKIP

    def _fail(self, error: BaseException) -> None:
        self.errors[_code(error)] += 1

    def _refuse(self) -> Refuse:
        self.errors["disabled"] += 1
        return Refuse("disabled", f"{self.name} is switched off for now")

    def _around_none(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def metered(ctx: Any) -> Any:
            if self.off:
                raise self._refuse()
            runs = self.runs = self.runs + 1
            began = 0 if runs & self.skip else perf_counter_ns()
            try:
                return function(ctx)
            except BaseException as error:
                self._fail(error)
                raise
            finally:
                if began:
                    self._time(began)

        return metered

    def _around_one(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def metered(ctx: Any, request: Any) -> Any:
            if self.off:
                raise self._refuse()
            runs = self.runs = self.runs + 1
            began = 0 if runs & self.skip else perf_counter_ns()
            try:
                return function(ctx, request)
            except BaseException as error:
                self._fail(error)
                raise
            finally:
                if began:
                    self._time(began)

        return metered

    def _around_any(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def metered(ctx: Any, *arguments: Any, **named: Any) -> Any:
            if self.off:
                raise self._refuse()
            runs = self.runs = self.runs + 1
            began = 0 if runs & self.skip else perf_counter_ns()
            try:
                return function(ctx, *arguments, **named)
            except BaseException as error:
                self._fail(error)
                raise
            finally:
                if began:
                    self._time(began)

        return metered


def _code(error: BaseException) -> str:
    told = client_error(error)
    if told is not None:
        return told[0]
    if isinstance(error, CallError):
        return error.code
    return "killed" if isinstance(error, GreenletExit) else "internal"
