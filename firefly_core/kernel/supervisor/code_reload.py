"""Has processes make their code anew, one after another, and gathers their reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from firefly_core.kernel.supervisor.child import Child
from firefly_core.kernel.supervisor.loop import Loop, Timer

__all__ = ["CodeReload", "Reports"]

LIMIT = 30.0
Reports = dict[str, dict[str, Any]]
"""What processes reported, by their names; `problems` is always there."""


class CodeReload:
    """Asks each of `children`; the first one with a problem is the last, but in a dry run. Then calls `on_done`."""

    def __init__(
        self,
        loop: Loop,
        children: Iterable[Child],
        on_done: Callable[[Reports], None],
        *,
        dry_run: bool,
        force: bool,
        limit: float = LIMIT,
    ) -> None:
        self._loop = loop
        self._rest = list(children)
        self._on_done = on_done
        self._dry_run = dry_run
        self._force = force
        self._limit = limit
        self._timer: Timer | None = None
        self._reports: Reports = {}
        self._current: Child | None = None

    def proceed(self) -> None:
        """Ask the next one; to be called once, the rest follows."""
        if not self._rest:
            self._on_done(self._reports)
            return
        child = self._current = self._rest.pop(0)
        self._timer = self._loop.later(self._limit, lambda: self._take(child, _silent(child, self._limit)))
        child.reload(lambda report: self._take(child, report), dry_run=self._dry_run, force=self._force)

    def _take(self, child: Child, report: dict[str, Any]) -> None:
        if self._current is not child:
            return  # it was too late, and is not waited for any more
        self._current = None
        if self._timer is not None:
            self._timer.cancel()
        self._reports[child.name] = report
        if report["problems"] and not self._dry_run:
            self._rest.clear()
        self.proceed()


def _silent(child: Child, limit: float) -> dict[str, Any]:
    return {"problems": [f"{child.name} has not answered within {limit:g} s"], "taken": False}
