"""Supervisor: every server of a firefly.toml as a process of its own, for as long as `firefly-run` runs.

1. a throw-away process checks the file and prints the plan (planner.py, cluster_plan.py)
2. the lock is taken, and every address of the plan is tried: one that is taken stops all before anything was started
3. all processes are started at once; each says when it is ready (child.py)
4. what ends is started again, until it has failed too often (backoff.py)
5. SIGHUP, and what programs and servers ask for (desk.py): new code, a new file, a restart, a drain (works.py)
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
from firefly_core.kernel.supervisor import listeners, log_folder
from firefly_core.kernel.supervisor.backoff import Restarts
from firefly_core.kernel.supervisor.child import Child, State
from firefly_core.kernel.supervisor.control_socket import ControlSocket, socket_path
from firefly_core.kernel.supervisor.desk import Desk
from firefly_core.kernel.supervisor.epochs import Epochs
from firefly_core.kernel.supervisor.equipment import Equipment
from firefly_core.kernel.supervisor.fleet import Fleet
from firefly_core.kernel.supervisor.groups import Groups
from firefly_core.kernel.supervisor.lock import ConfigurationLock
from firefly_core.kernel.supervisor.log import Log
from firefly_core.kernel.supervisor.loop import Loop
from firefly_core.kernel.supervisor.notifier import Notifier
from firefly_core.kernel.supervisor.overhaul import Wish
from firefly_core.kernel.supervisor.plan import Plan
from firefly_core.kernel.supervisor.planner import Planner
from firefly_core.kernel.supervisor.reaper import Reaper
from firefly_core.kernel.supervisor.shutdown import Patience, Shutdown
from firefly_core.kernel.supervisor.works import Works

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
        self.fleet: Fleet | None = None
        """The processes, as soon as there is a plan."""
        self._desk = Desk(self)
        self._socket: ControlSocket | None = None
        self._notifier = Notifier(os.environ)
        self._shutdown: Shutdown | None = None
        self.works: Works | None = None
        """What is done to the processes, as soon as there are some."""
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
        loop.on_signal(signal.SIGUSR1, self._log.reopen)
        loop.on_error = self._mishap
        self._ask_for_plan(self._begin)
        self._tick()
        try:
            loop.run()
        finally:
            if self._socket is not None:
                self._socket.close()
            self._groups.close()
            self._listeners.close()
            if self._lock is not None:
                self._lock.release()
            loop.close()
            self._log.close()
        return self._status

    # ------------------------------------------------------------------------------------------------------- starting

    def _ask_for_plan(self, then: Callable[[Plan | None, list[str]], None]) -> None:
        def done(plan: Plan | None, problems: list[str]) -> None:
            if self._shutdown is None:
                then(plan, problems)

        Planner(self._loop, self._reaper, self._commands.plan, done, groups=self._groups)

    def _begin(self, plan: Plan | None, problems: list[str]) -> None:
        if plan is None:
            raise ConfigurationError(problems)
        log_folder.check(plan)
        self._log.follow(plan)
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
        self.fleet = Fleet(equipment, plan, self._changed, self._desk.asked)
        self.works = Works(self._loop, self._log, self.fleet, lambda: self.patience, self._ask_for_plan)
        self._open_socket(plan)
        self._log.say("info", f"{plan.name} starts", processes=len(plan.process_names()), pid=os.getpid())
        for child in self.fleet:
            child.start()

    def _open_socket(self, plan: Plan) -> None:
        path = socket_path(Path(plan.var), Path(plan.path))
        try:
            self._socket = ControlSocket(self._loop, path, self._desk.asked)
        except OSError as error:
            # Everything runs without it; only firefly-run reload and the like do not.
            self._log.say("warning", f"{path}: no commands can be given here: {error}")

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
        elif self.works is not None:
            self.works.proceed()
        if self._shutdown is None and self.fleet is not None and self.fleet.all_settled():
            self._notifier.say("READY=1")

    def _became_ready(self, child: Child) -> None:
        self._log.say("info", f"{child.name} is ready", pid=child.pid, epoch=child.epoch)
        assert self.fleet is not None
        if self.fleet.all_ready() and self._shutdown is None:
            self._log.say("info", "all servers ready")
            for page in () if self._settled else self.fleet.plan.pages:
                self._log.say("info", f"open {page}")
            self._settled = True

    def _gave_up(self, child: Child) -> None:
        self._listeners.close(child.name)
        self._log.say("error", f"{child.name} gave up: {child.ending or 'it cannot be started'}")
        if self._shutdown is not None or self.fleet is None:
            return
        refused = child.ending is not None and child.ending.status == ExitStatus.CONFIGURATION
        if refused and not self._settled:
            self.stop(ExitStatus.CONFIGURATION)
        elif child.server.critical or self.fleet.all_over():
            self.stop(ExitStatus.GAVE_UP)

    def _let_go(self, child: Child) -> None:
        """Close what is held for a process that will not start again: clients are refused instead of waiting."""
        if self.works is None or not self.works.restarts(child):
            self._listeners.close(child.name)

    def _tick(self) -> None:
        self._log.tell_lost()
        self._notifier.beat()
        self._loop.later(TICK, self._tick)

    def _mishap(self, error: Exception) -> None:
        # A fault of ours must not end what is supervised: everything that goes on by itself goes on.
        place = traceback.extract_tb(error.__traceback__)[-1]
        self._log.say("error", f"a fault of the supervisor: {error!r}", at=f"{place.filename}:{place.lineno}")

    # ------------------------------------------------------------------------------------------------------ reloading

    @property
    def busy(self) -> str:
        """What is under way and lets nothing else begin; empty: nothing."""
        if self._shutdown is not None:
            return "a stop"
        return self.works.under_way if self.works is not None else "the start"

    def _hangup(self) -> None:
        if self._terminal and not os.isatty(STDERR):
            self._stop_signal()  # the terminal was closed, nobody is there any more
        elif self.busy:
            self._log.say("warning", f"not reloaded: {self.busy} is under way")
        else:
            self.overhaul(Wish(), lambda _result: None)

    def overhaul(self, wish: Wish, on_done: Callable[[dict[str, Any]], None]) -> None:
        """Make new what is wished for; `on_done` gets what came of it. Only while nothing is under way."""
        assert self.works is not None
        self._settled = True
        self._notifier.reloading()

        def done(result: dict[str, Any]) -> None:
            self._notifier.say("READY=1")
            on_done(result)

        self.works.overhaul(wish, done)

    # ------------------------------------------------------------------------------------------------------- stopping

    def _stop_signal(self) -> None:
        if self._shutdown is None:
            self.stop(ExitStatus.STOPPED)
        else:
            self.hurry()

    def hurry(self) -> None:
        """Let everything end at once that is about to stop."""
        if self._shutdown is not None:
            self._log.say("warning", "everything stops at once")
            self._shutdown.hurry()

    def stop(self, status: ExitStatus) -> None:
        """Stop all processes in order, then let `run` return `status`."""
        if self._shutdown is not None:
            return
        self._status = status
        self._notifier.say("STOPPING=1")
        if self.fleet is None:
            self._loop.stop()
            return
        self._log.say("info", "stopping")
        self._shutdown = Shutdown(self._loop, self.fleet.stop_waves(), self.patience, self._loop.stop)
        self._shutdown.proceed()

    @property
    def patience(self) -> Patience:
        """How long processes may take to stop."""
        return self._patience or Patience(drain=self.fleet.plan.drain_timeout if self.fleet else 0.0)

    def say(self, event: str) -> None:
        """Write a line into the log."""
        self._log.say("info", event)

    def status(self) -> dict[str, Any]:
        """Give the present state of everything, as plain values."""
        fleet = self.fleet
        if self._shutdown is not None:
            state = "stopping"
        elif self.busy and fleet is not None:
            state = "reloading"
        else:
            state = "ready" if fleet is not None and fleet.all_ready() else "degraded"
        about = {"pid": os.getpid(), "state": state, "since": round(self._began, 3)}
        if fleet is not None:
            about |= {"name": fleet.plan.name, "path": fleet.plan.path}
        return {"supervisor": about, "processes": [child.status() for child in fleet or ()]}
