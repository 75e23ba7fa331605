"""Supervisor: every server of a firefly.toml as a process of its own, for as long as `firefly-run` runs.

1. a throw-away process checks the file and prints the plan (planner.py, cluster_plan.py)
2. the lock is taken, and every address of the plan is tried: one that is taken stops all before anything was started
3. all processes are started at once; each says when it is ready (child.py)
4. what ends is started again, until it has failed too often (backoff.py)
5. SIGHUP makes a new plan: what differs is stopped and started, one process after another (fleet.py, reload.py)
6. SIGTERM or SIGINT stops all in waves (shutdown.py); a second one hurries
"""

from __future__ import annotations

import os
import secrets
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firefly_core.errors import ConfigurationError, ExitStatus
from firefly_core.kernel.supervisor import listeners
from firefly_core.kernel.supervisor.backoff import Restarts
from firefly_core.kernel.supervisor.child import Child, Equipment, State
from firefly_core.kernel.supervisor.epochs import Epochs
from firefly_core.kernel.supervisor.fleet import Fleet
from firefly_core.kernel.supervisor.groups import Groups
from firefly_core.kernel.supervisor.lock import ConfigurationLock
from firefly_core.kernel.supervisor.log import Log
from firefly_core.kernel.supervisor.loop import Loop
from firefly_core.kernel.supervisor.plan import Plan
from firefly_core.kernel.supervisor.planner import Planner
from firefly_core.kernel.supervisor.reaper import Reaper
from firefly_core.kernel.supervisor.reload import Reload, Stage
from firefly_core.kernel.supervisor.shutdown import Patience, Shutdown

__all__ = ["Commands", "Supervisor"]

TICK = 1.0
STDERR = 2


@dataclass(frozen=True, kw_only=True)
class Commands:
    """The command lines of the processes that the supervisor starts."""

    plan: Sequence[str]
    """Prints a plan (`Plan.encode`), or problems on stderr and exits 78."""
    server: Callable[[str], Sequence[str]]
    """Is the process of that name."""


class Supervisor:
    """Runs once; `restarts` and `patience` come from the plan unless given."""

    def __init__(
        self,
        commands: Commands,
        log: Log,
        *,
        restarts: Restarts | None = None,
        patience: Patience | None = None,
        slow: float = 10.0,
    ) -> None:
        self._commands = commands
        self._log = log
        self._restarts = restarts
        self._patience = patience
        self._slow = slow
        self._loop = Loop()
        self._reaper = Reaper()
        self._groups = Groups(self._loop, self._reaper)
        self._listeners = listeners.Listeners()
        self._lock: ConfigurationLock | None = None
        self._fleet: Fleet | None = None
        self._shutdown: Shutdown | None = None
        self._reload: Reload | None = None
        self._planning = False
        self._settled = False
        self._status = ExitStatus.STOPPED
        self._began = time.time()
        self._terminal = os.isatty(STDERR)

    def run(self) -> ExitStatus:
        """Start everything, watch over it, stop everything; gives the status that `firefly-run` exits with.

        Raises ConfigurationError before anything was started.
        """
        loop = self._loop
        loop.on_signal(signal.SIGCHLD, self._reaper.reap)
        loop.on_signal(signal.SIGTERM, self._stop_signal)
        loop.on_signal(signal.SIGINT, self._stop_signal)
        loop.on_signal(signal.SIGHUP, self._hangup)
        loop.on_error = self._mishap
        self._ask_for_plan(self._begin)
        self._tick()
        try:
            loop.run()
        finally:
            self._groups.close()
            self._listeners.close()
            if self._lock is not None:
                self._lock.release()
            loop.close()
        return self._status

    # ------------------------------------------------------------------------------------------------------- starting

    def _ask_for_plan(self, then: Callable[[Plan | None, list[str]], None]) -> None:
        def done(plan: Plan | None, problems: list[str]) -> None:
            self._planning = False
            if self._shutdown is None:
                then(plan, problems)

        self._planning = True
        Planner(self._loop, self._reaper, self._commands.plan, done)

    def _begin(self, plan: Plan | None, problems: list[str]) -> None:
        if plan is None:
            raise ConfigurationError(problems)
        self._log.json = plan.json_log
        lock = ConfigurationLock(Path(plan.var) / f"{Path(plan.path).stem}.lock")
        lock.take()
        self._lock = lock
        listeners.check(plan.addresses())
        self._groups.start()
        equipment = Equipment(
            loop=self._loop,
            log=self._log,
            reaper=self._reaper,
            groups=self._groups,
            listeners=self._listeners,
            epochs=Epochs(Path(plan.var) / "epochs"),
            command=self._commands.server,
            restarts=self._restarts or Restarts(failures=plan.failures, window=plan.window),
            secret=None if plan.secret else secrets.token_bytes(32),
            slow=self._slow,
        )
        self._fleet = Fleet(equipment, plan, self._changed, self._asked)
        for warning in plan.warnings:
            self._log.say("warning", warning)
        self._log.say("info", f"{plan.name} starts", processes=len(plan.process_names()), pid=os.getpid())
        for child in self._fleet:
            child.start()

    # ------------------------------------------------------------------------------------------------------- watching

    def _changed(self, child: Child) -> None:
        if child.state is State.READY:
            self._became_ready(child)
        elif child.state is State.FATAL:
            self._gave_up(child)
        elif child.state is State.STOPPING:
            self._let_go(child)
        elif child.state is State.STOPPED:
            self._let_go(child)
            self._log.say("info", f"{child.name} has stopped: {child.ending or 'it did not run'}")
        if self._shutdown is not None:
            self._shutdown.proceed()
        elif self._reload is not None:
            self._reload.proceed()

    def _became_ready(self, child: Child) -> None:
        self._log.say("info", f"{child.name} is ready", pid=child.pid, epoch=child.epoch)
        assert self._fleet is not None
        if self._fleet.all_ready() and self._shutdown is None:
            self._log.say("info", "all servers ready")
            for page in () if self._settled else self._fleet.plan.pages:
                self._log.say("info", f"open {page}")
            self._settled = True

    def _gave_up(self, child: Child) -> None:
        self._listeners.close(child.name)
        self._log.say("error", f"{child.name} gave up: {child.ending or 'it cannot be started'}")
        if self._shutdown is not None or self._fleet is None:
            return
        refused = child.ending is not None and child.ending.status == ExitStatus.CONFIGURATION
        if refused and not self._settled:
            self.stop(ExitStatus.CONFIGURATION)
        elif child.server.critical or self._fleet.all_over():
            self.stop(ExitStatus.GAVE_UP)

    def _let_go(self, child: Child) -> None:
        """Close what is held for a process that will not start again: clients are refused instead of waiting."""
        if self._reload is None or not self._reload.restarts(child):
            self._listeners.close(child.name)

    def _tick(self) -> None:
        self._log.tell_lost()
        self._loop.later(TICK, self._tick)

    def _mishap(self, error: Exception) -> None:
        # A fault of ours must not end what is supervised: everything that goes on by itself goes on.
        place = traceback.extract_tb(error.__traceback__)[-1]
        self._log.say("error", f"a fault of the supervisor: {error!r}", at=f"{place.filename}:{place.lineno}")

    # ------------------------------------------------------------------------------------------------------ reloading

    def _hangup(self) -> None:
        if self._terminal and not os.isatty(STDERR):
            self._stop_signal()  # the terminal was closed, nobody is there any more
        else:
            self.reload()

    def reload(self) -> None:
        """Read the file again and take over what it says; a file with problems changes nothing."""
        if self._fleet is None or self._shutdown is not None:
            return
        if self._planning or self._reload is not None:
            self._log.say("warning", "a reload is under way, this one is not done")
            return
        self._log.say("info", "the configuration is read again")
        self._ask_for_plan(self._replan)

    def _replan(self, plan: Plan | None, problems: list[str]) -> None:
        fleet = self._fleet
        assert fleet is not None
        if plan is not None:
            problems = fleet.obstacles(plan)
        if plan is None or problems:
            for problem in problems:
                self._log.say("error", problem)
            self._log.say("error", "the new configuration is refused, the old one stays in force")
            return
        self._log.json = plan.json_log
        for warning in plan.warnings:
            self._log.say("warning", warning)
        self._settled = True
        self._work_through(fleet.adopt(plan), "the new configuration is in force")

    def _work_through(self, stages: list[Stage], report: str) -> None:
        assert self._fleet is not None

        def done() -> None:
            self._reload = None
            self._log.say("info", report)

        self._reload = Reload(stages, self._patience_of(self._fleet.plan), done)
        self._reload.proceed()

    # ------------------------------------------------------------------------------------------------------- stopping

    def _stop_signal(self) -> None:
        if self._shutdown is None:
            self.stop(ExitStatus.STOPPED)
        else:
            self._log.say("warning", "everything stops at once")
            self._shutdown.hurry()

    def stop(self, status: ExitStatus) -> None:
        """Stop all processes in order, then let `run` return `status`."""
        if self._shutdown is not None:
            return
        self._status = status
        if self._fleet is None:
            self._loop.stop()
            return
        self._log.say("info", "stopping")
        patience = self._patience_of(self._fleet.plan)
        self._shutdown = Shutdown(self._loop, self._fleet.stop_waves(), patience, self._loop.stop)
        self._shutdown.proceed()

    def _patience_of(self, plan: Plan) -> Patience:
        return self._patience or Patience(drain=plan.drain_timeout)

    def status(self) -> dict[str, Any]:
        """Give the present state of everything, as plain values."""
        fleet = self._fleet
        if self._shutdown is not None:
            state = "stopping"
        elif self._reload is not None or self._planning:
            state = "reloading"
        else:
            state = "ready" if fleet is not None and fleet.all_ready() else "degraded"
        about = {"pid": os.getpid(), "state": state, "since": round(self._began, 3)}
        if fleet is not None:
            about |= {"name": fleet.plan.name, "path": fleet.plan.path}
        return {"supervisor": about, "processes": [child.status() for child in fleet or ()]}

    def _asked(self, child: Child, question: dict[str, Any]) -> None:
        number, what = question.get("ask"), question.get("what")
        assert self._fleet is not None
        target = self._fleet.get(question.get("name"))
        if what == "status":
            child.answer(number, result=self.status())
        elif what == "reload":
            self.reload()
            child.answer(number, result=True)
        elif what != "restart":
            child.answer(number, error=f"unknown question {what!r}")
        elif target is None:
            child.answer(number, error=f"there is no process {question.get('name')!r}")
        elif self._planning or self._reload is not None or self._shutdown is not None:
            child.answer(number, error="busy with a reload or a stop")
        else:
            child.answer(number, result=True)
            self._work_through([Stage(stop=[target], start=[target])], f"{target.name} was started anew")
