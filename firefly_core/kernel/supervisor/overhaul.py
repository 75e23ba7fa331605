"""Overhaul: new code, and a new configuration, for processes that run; whatever is wrong changes nothing.

1. the file is read and everything is checked by a throw-away process
2. one process of each server tries its new code
3. all of them take it, one after another; those that start anew for the sake of the file are left out
4. what differs in the file is stopped and started
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from firefly_core.kernel.supervisor.child import Child, State
from firefly_core.kernel.supervisor.code_reload import CodeReload, Reports
from firefly_core.kernel.supervisor.fleet import Fleet
from firefly_core.kernel.supervisor.log import Log
from firefly_core.kernel.supervisor.loop import Loop
from firefly_core.kernel.supervisor.plan import Plan

__all__ = ["Overhaul", "Wish"]

Result = dict[str, Any]


class Wish:
    """What somebody wants to be made anew: everything, or the code of some processes."""

    def __init__(self, name: str | None = None, *, dry_run: bool = False, force: bool = False) -> None:
        self.name = name
        self.dry_run = dry_run
        self.force = force


class Overhaul:
    """One overhaul; `adopt` takes a plan over and calls back when that is done, `on_done` gets what came of it all."""

    def __init__(
        self,
        loop: Loop,
        log: Log,
        fleet: Fleet,
        wish: Wish,
        adopt: Callable[[Plan, Callable[[], None]], None],
        on_done: Callable[[Result], None],
    ) -> None:
        self._loop = loop
        self._log = log
        self._fleet = fleet
        self._wish = wish
        self._adopt = adopt
        self._on_done = on_done
        self._plan: Plan | None = None
        self._reports: Reports = {}

    def planned(self, plan: Plan | None, problems: Sequence[str]) -> None:
        """Go on with what the check of the file has given."""
        wish = self._wish
        if plan is not None and wish.name is None:
            problems = self._fleet.obstacles(plan)
        if plan is None or problems:
            self._refuse(problems, "the new configuration is refused, the old one stays in force")
            return
        self._plan = plan
        chosen = self._chosen()
        late = [child.name for child in chosen if child.state is State.STARTING]
        if late:
            self._refuse([f"{', '.join(late)}: just starting"], "the code stays as it is, try again")
            return
        self._targets = [child for child in chosen if child.state is State.READY]
        first = {child.server.name: child for child in reversed(self._targets)}
        self._ask(list(first.values()), self._tried, dry_run=True)

    def _chosen(self) -> list[Child]:
        """Give the processes whose code is meant: named, or all that the file does not start anew."""
        if self._wish.name is not None:
            children = self._fleet.find(self._wish.name)
        else:
            assert self._plan is not None
            children = self._fleet.unchanged(self._plan)
        return [child for child in children if child.server.code]

    def _ask(self, children: Sequence[Child], then: Callable[[Reports], None], *, dry_run: bool) -> None:
        CodeReload(self._loop, children, then, dry_run=dry_run, force=self._wish.force).proceed()

    def _tried(self, reports: Reports) -> None:
        self._reports = reports
        problems = _problems(reports)
        if problems:
            self._refuse(problems, "the new code is refused, the old one stays in force")
        elif self._wish.dry_run:
            self._log.say("info", "the new code could be taken")
            self._done(taken=False, problems=())
        else:
            targets = [child for child in self._targets if child.state is State.READY]
            self._ask(targets, self._taken, dry_run=False)

    def _taken(self, reports: Reports) -> None:
        self._reports = reports
        problems = _problems(reports)
        for problem in problems:
            self._log.say("error", problem)
        if problems or self._wish.name is not None:
            self._done(taken=not problems, problems=problems)
            return
        assert self._plan is not None
        self._adopt(self._plan, lambda: self._done(taken=True, problems=()))

    def _refuse(self, problems: Sequence[str], why: str) -> None:
        for problem in problems:
            self._log.say("error", problem)
        self._log.say("error", why)
        self._done(taken=False, problems=problems)

    def _done(self, *, taken: bool, problems: Sequence[str]) -> None:
        self._on_done({"taken": taken, "problems": list(problems), "processes": self._reports})


def _problems(reports: Reports) -> list[str]:
    return list(dict.fromkeys(problem for report in reports.values() for problem in report["problems"]))
