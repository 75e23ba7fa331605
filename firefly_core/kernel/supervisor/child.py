"""One process of a server: started, watched, started again after a failure, and stopped within a deadline.

waiting -> starting -> ready -> stopping -> stopped
   ^          |          |
   +----------+----------+--> fatal: it failed too often, or said itself that starting again is of no use
"""

from __future__ import annotations

import enum
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from firefly_core.errors import ExitStatus
from firefly_core.kernel.supervisor.backoff import Backoff
from firefly_core.kernel.supervisor.control_pipe import ControlPipe
from firefly_core.kernel.supervisor.equipment import Equipment
from firefly_core.kernel.supervisor.log_pipe import LogPipe
from firefly_core.kernel.supervisor.loop import Timer
from firefly_core.kernel.supervisor.plan import Plan, ServerPlan
from firefly_core.kernel.supervisor.reaper import Ending, kill_group
from firefly_core.kernel.supervisor.spawn import spawn

__all__ = ["CONTROL", "Child", "State"]

CONTROL = "FIREFLY_CONTROL"
"""The environment variable that gives a server the descriptor of its control pipe and its supervisor's pid."""
PATIENCE = 2.0
"""Seconds until the next start for which clients may wait in a process's queue, where a replica would take them."""
FINAL = frozenset((ExitStatus.GAVE_UP, ExitStatus.CONFIGURATION))


class State(enum.StrEnum):
    """Where a process is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FATAL = "fatal"


class Child:
    """One process by its name, whichever pid it has at present; `on_change` is called after each change of state."""

    def __init__(
        self,
        equipment: Equipment,
        server: ServerPlan,
        name: str,
        plan: Plan,
        on_change: Callable[[Child], None],
        on_ask: Callable[[Child, dict[str, Any]], None],
    ) -> None:
        self.name = name
        self.server = server
        self.state = State.STOPPED
        self.pid: int | None = None
        self.epoch = 0
        self.starts = 0
        self.ending: Ending | None = None
        """How it ended last."""
        self.crashes = 0
        """How often it ended without having been asked to, or could not be started."""
        self.crash: dict[str, Any] | None = None
        """The last time that it did: `at`, a date, and how it ended."""
        self.code: dict[str, Any] | None = None
        """The version of the code that it runs, as it said."""
        self.dropped = 0
        """Commands and calls that it had accepted and dropped when its time to drain was over, ever."""
        self._plan = plan
        self._gear = equipment
        self._on_change = on_change
        self._on_ask = on_ask
        self._backoff = Backoff(equipment.restarts, equipment.source)
        self._control: ControlPipe | None = None
        self._output: list[LogPipe] = []
        self._timers: list[Timer] = []
        self._reloads: dict[int, Callable[[dict[str, Any]], None]] = {}
        self._number = 0
        self._since = equipment.loop.now()
        self._clock_since = time.time()

    @property
    def running(self) -> bool:
        """Whether there is a process at present."""
        return self.pid is not None

    def status(self) -> dict[str, Any]:
        """Give the process's present state, as plain values."""
        return {
            "name": self.name,
            "server": self.server.name,
            "state": str(self.state),
            "since": round(self._clock_since, 3),
            "pid": self.pid,
            "epoch": self.epoch,
            "starts": self.starts,
            "failures": self._backoff.failures,
            "ending": None if self.ending is None else str(self.ending),
            "crashes": self.crashes,
            "crash": self.crash,
            "code": self.code,
            "dropped": self.dropped,
            "lost_lines": self._gear.log.lost.get(self.name, 0),
        }

    def adopt(self, server: ServerPlan, plan: Plan) -> None:
        """Take what a newer plan says; it holds from the next start on."""
        self.server = server
        self._plan = plan

    def answer(self, number: object, **values: Any) -> None:
        """Answer the question `number` of the process, if it still runs."""
        if self._control is not None:
            self._control.send({"answer": number, **values})

    def reload(self, on_report: Callable[[dict[str, Any]], None], *, dry_run: bool, force: bool) -> None:
        """Have the process make its code anew; `on_report` is called once, whatever becomes of the process."""
        if self._control is None or not self._control.open:
            on_report(self._gone())
            return
        self._number += 1
        self._reloads[self._number] = on_report
        self._control.send({"do": "reload", "number": self._number, "dry_run": dry_run, "force": force})

    def start(self) -> None:
        """Start a process now, unless one runs."""
        self._cancel_timers()
        if self.running:
            return
        self.starts += 1
        try:
            self._start()
        except OSError as error:
            self._gear.log.say("error", f"{self.name} cannot be started: {error}")
            self._failed(None)

    def revive(self) -> None:
        """Start it as if it had never failed."""
        self._backoff.reset()
        self.start()

    def stop(self, quick_in: float, kill_in: float) -> None:
        """Ask the process to finish and end; in so many seconds ask it to end at once, and kill its group."""
        self._cancel_timers()
        if self.pid is None:
            self._change(State.STOPPED)
            return
        loop = self._gear.loop
        pid = self.pid
        if quick_in <= 0:
            os.kill(pid, signal.SIGQUIT)
        else:
            # A second SIGTERM would mean "at once" to it.
            if self.state is not State.STOPPING:
                os.kill(pid, signal.SIGTERM)
            self._timers.append(loop.later(quick_in, lambda: self._press(pid)))
        self._timers.append(loop.later(kill_in, lambda: self._kill(pid)))
        self._change(State.STOPPING)

    def _start(self) -> None:
        gear = self._gear
        self.epoch = self._count_epoch()
        descriptors = gear.listeners.open(self.name, self.server.held)
        ours, theirs = socket.socketpair()
        environ = {**os.environ, CONTROL: f"{theirs.fileno()} {os.getpid()}"}
        try:
            spawned = spawn(gear.command(self.name), environ, [theirs.fileno(), *descriptors.values()])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.pid = spawned.pid
        gear.groups.add(spawned.pid)
        gear.reaper.watch(spawned.pid, self._ended)
        self._output = [LogPipe(gear.loop, gear.log, self.name, fd) for fd in (spawned.stdout, spawned.stderr)]
        self._control = ControlPipe(gear.loop, ours, self._heard, lambda: None)
        self._control.send(
            {
                "do": "begin",
                "epoch": self.epoch,
                "secret": gear.secret.hex() if gear.secret is not None else None,
                "source": self._plan.source,
                "listeners": descriptors,
            }
        )
        self._timers.append(gear.loop.later(gear.slow, lambda: self._mention_slow(gear.slow)))
        self._change(State.STARTING)

    def _count_epoch(self) -> int:
        try:
            return self._gear.epochs.count(self.name)
        except OSError as error:
            self._gear.log.say("error", f"the epoch of {self.name} cannot be kept: {error}")
            return self._gear.epochs.last(self.name)

    def _heard(self, message: dict[str, Any]) -> None:
        if isinstance(code := message.get("code"), dict):
            self.code = code
        if message.get("say") == "ready" and self.state is State.STARTING:
            self._cancel_timers()
            self._change(State.READY)
        elif message.get("say") == "reloaded":
            report, number = message.get("report"), message.get("number")
            waiting = self._reloads.pop(number, None) if isinstance(number, int) else None
            if waiting is not None:
                waiting({"problems": [], **report} if isinstance(report, dict) else self._gone())
        elif message.get("say") == "cut" and isinstance(dropped := message.get("dropped"), int):
            self.dropped += dropped
            self._gear.log.say("warning", f"{self.name} has dropped what it could not finish", dropped=dropped)
        elif "ask" in message:
            self._on_ask(self, message)

    def _ended(self, ending: Ending) -> None:
        pid, self.pid = self.pid, None
        was, self.ending = self.state, ending
        self._cancel_timers()
        if pid is not None:
            self._gear.groups.remove(pid)
        for output in self._output:
            output.close()
        if self._control is not None:
            self._control.close()
            self._control = None
        for waiting in self._take_reloads():
            waiting(self._gone())
        if was is State.STOPPING:
            self._change(State.STOPPED)
        else:
            self._failed(ending)

    def _gone(self) -> dict[str, Any]:
        return {"problems": [f"{self.name} has ended"], "taken": False}

    def _take_reloads(self) -> list[Callable[[dict[str, Any]], None]]:
        waiting, self._reloads = list(self._reloads.values()), {}
        return waiting

    def _failed(self, ending: Ending | None) -> None:
        loop = self._gear.loop
        self.crashes += 1
        self.crash = {"at": round(time.time(), 3), "ending": str(ending or "it could not be started")}
        ready_since = self._since if self.state is State.READY else None
        delay = self._backoff.fail(loop.now(), ready_since)
        if ending is not None and ending.status in FINAL:
            delay = None
        if delay is None:
            self._change(State.FATAL)
            return
        self._gear.log.say("error", f"{self.name} ended: {ending or 'not started'}; starts again in {delay:.1f} s")
        self._timers.append(loop.later(delay, self.start))
        if delay > PATIENCE:
            self._gear.listeners.rest(self.name)
        self._change(State.WAITING)

    def _press(self, pid: int) -> None:
        if self.pid == pid:
            self._gear.log.say("warning", f"{self.name} has not finished in time, its work is cut short")
            os.kill(pid, signal.SIGQUIT)

    def _kill(self, pid: int) -> None:
        if self.pid == pid:
            self._gear.log.say("error", f"{self.name} does not end, it is killed")
            kill_group(pid, signal.SIGKILL)

    def _mention_slow(self, seconds: float) -> None:
        self._gear.log.say("warning", f"{self.name} is not ready after {seconds:g} s")

    def _change(self, state: State) -> None:
        self.state = state
        self._since = self._gear.loop.now()
        self._clock_since = time.time()
        self._on_change(self)

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
