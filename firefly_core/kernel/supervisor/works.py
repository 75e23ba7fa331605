"""Works: what is done to processes that run: an overhaul, a restart, a drain; one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firefly_core.kernel.supervisor.child import Child
from firefly_core.kernel.supervisor.fleet import Fleet
from firefly_core.kernel.supervisor.log import Log
from firefly_core.kernel.supervisor.loop import Loop
from firefly_core.kernel.supervisor.overhaul import Overhaul, Wish
from firefly_core.kernel.supervisor.plan import Plan
from firefly_core.kernel.supervisor.reload import Reload, Stage
from firefly_core.kernel.supervisor.shutdown import Patience

__all__ = ["Works"]

Planned = Callable[[Plan | None, list[str]], None]


class Works:
    """The work that is under way on a fleet; `patience` is read when it begins, `ask_for_plan` has the file checked."""

    def __init__(
        self,
        loop: Loop,
        log: Log,
        fleet: Fleet,
        patience: Callable[[], Patience],
        ask_for_plan: Callable[[Planned], None],
    ) -> None:
        self._loop = loop
        self._log = log
        self._fleet = fleet
        self._patience = patience
        self._ask_for_plan = ask_for_plan
        self._stages: Reload | None = None
        self._overhaul: Overhaul | None = None
        self._checking = False

    @property
    def under_way(self) -> str:
        """What is being done; empty: nothing."""
        if self._overhaul is not None or self._checking:
            return "a reload or a check"
        return "a restart, a drain or a stop" if self._stages is not None else ""

    def restarts(self, child: Child) -> bool:
        """Whether the process is stopped only to be started again."""
        return self._stages is not None and self._stages.restarts(child)

    def proceed(self) -> None:
        """Look how far it is; to be called after each change of a process."""
        if self._stages is not None:
            self._stages.proceed()

    def overhaul(self, wish: Wish, on_done: Callable[[dict[str, Any]], None]) -> None:
        """Make new what is wished for; `on_done` gets what came of it. Only while nothing is under way."""

        def done(result: dict[str, Any]) -> None:
            self._overhaul = None
            on_done(result)

        what = f"the code of {wish.name}" if wish.name else "the configuration, and all code,"
        self._log.say("info", f"{what} is {'tried' if wish.dry_run else 'read again'}")
        self._overhaul = Overhaul(self._loop, self._log, self._fleet, wish, self._adopt, done)
        self._ask_for_plan(self._overhaul.planned)

    def check(self, on_done: Callable[[list[str]], None]) -> None:
        """Have everything checked as it is on disk; `on_done` gets the problems. Only while nothing is under way."""

        def checked(_plan: Plan | None, problems: list[str]) -> None:
            self._checking = False
            on_done(problems)

        self._checking = True
        self._ask_for_plan(checked)

    def work_through(self, stages: list[Stage], on_done: Callable[[], None], patience: Patience | None = None) -> None:
        """Stop and start processes, stage by stage; then call `on_done`. Only while nothing is under way."""

        def done() -> None:
            self._stages = None
            on_done()

        self._stages = Reload(stages, patience or self._patience(), done)
        self._stages.proceed()

    def _adopt(self, plan: Plan, on_done: Callable[[], None]) -> None:
        self._log.follow(plan)

        def done() -> None:
            self._log.say("info", "the new configuration is in force")
            on_done()

        self.work_through(self._fleet.adopt(plan), done)
