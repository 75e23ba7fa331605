"""Has firefly.toml read and checked by a throw-away process, so that no plugin's code ever runs in the supervisor."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence

from firefly_core.errors import ExitStatus
from firefly_core.kernel.supervisor.groups import Groups
from firefly_core.kernel.supervisor.loop import Loop
from firefly_core.kernel.supervisor.plan import Plan
from firefly_core.kernel.supervisor.reaper import Ending, Reaper, kill_group
from firefly_core.kernel.supervisor.spawn import spawn

__all__ = ["Planner"]

LIMIT = 30.0
OUTPUT = 16 * 1024 * 1024
CHUNK = 64 * 1024
LINGER = 1.0


class Planner:
    """One run of `command`, which prints a plan, or problems on stderr and exits 78; then `on_done` is called once.

    `on_done` gets the plan, or None and the problems, one text each.
    """

    def __init__(
        self,
        loop: Loop,
        reaper: Reaper,
        command: Sequence[str],
        on_done: Callable[[Plan | None, list[str]], None],
        *,
        groups: Groups | None = None,
        limit: float = LIMIT,
    ) -> None:
        self._loop = loop
        self._on_done = on_done
        self._groups = groups
        self._limit = limit
        self._read = {"stdout": b"", "stderr": b""}
        self._open: dict[str, int] = {}
        self._ending: Ending | None = None
        self._late = False
        try:
            spawned = spawn(command, os.environ)
        except OSError as error:
            problem = f"the configuration cannot be checked: {error}"
            loop.later(0, lambda: on_done(None, [problem]))
            return
        self._pid = spawned.pid
        if groups is not None:
            groups.add(spawned.pid)
        self._timer = loop.later(limit, self._cut)
        for name, descriptor in (("stdout", spawned.stdout), ("stderr", spawned.stderr)):
            os.set_blocking(descriptor, False)
            self._open[name] = descriptor
            loop.watch(descriptor, lambda name=name: self._take(name))  # type: ignore[misc]
        reaper.watch(spawned.pid, self._ended)

    def _cut(self) -> None:
        self._late = True
        kill_group(self._pid, signal.SIGKILL)

    def _take(self, name: str) -> None:
        try:
            data = os.read(self._open[name], CHUNK)
        except BlockingIOError:
            return
        self._read[name] = (self._read[name] + data)[:OUTPUT]
        if not data:
            self._close(name)
            self._finish()

    def _close(self, name: str) -> None:
        descriptor = self._open.pop(name)
        self._loop.forget(descriptor)
        os.close(descriptor)

    def _ended(self, ending: Ending) -> None:
        self._ending = ending
        self._timer.cancel()
        if self._groups is not None:
            self._groups.remove(self._pid)
        # Its whole group is dead: what it printed is in the pipes. Whoever left the group may hold them open for ever.
        self._loop.later(LINGER, self._close_all)
        self._finish()

    def _close_all(self) -> None:
        if self._open:
            for name in list(self._open):
                self._close(name)
            self._finish()

    def _finish(self) -> None:
        if self._ending is None or self._open:
            return
        problems = [line for line in self._read["stderr"].decode("utf-8", "replace").splitlines() if line.strip()]
        if self._ending == Ending(status=ExitStatus.STOPPED):
            try:
                plan = Plan.decode(self._read["stdout"])
            except ValueError as error:
                self._on_done(None, [*problems, f"the check of the configuration printed no plan: {error}"])
            else:
                self._on_done(plan, [])
            return
        if self._late:
            problems.append(f"the check of the configuration took longer than {self._limit:g} s")
        elif self._ending != Ending(status=ExitStatus.CONFIGURATION) or not problems:
            problems.append(f"the check of the configuration ended with {self._ending}")
        self._on_done(None, problems)
