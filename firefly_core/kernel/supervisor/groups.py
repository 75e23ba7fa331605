"""Tells the keeper which process groups there are, and starts a new keeper should it die."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from firefly_core.kernel.supervisor.loop import Loop
from firefly_core.kernel.supervisor.reaper import Ending, Reaper

__all__ = ["Groups"]

SCRIPT = Path(__file__).with_name("keeper.py")
AGAIN = 1.0


class Groups:
    """The process groups of the servers that run, known to the keeper too."""

    def __init__(self, loop: Loop, reaper: Reaper) -> None:
        self._loop = loop
        self._reaper = reaper
        self._pids: set[int] = set()
        self._pipe: int | None = None
        self._closed = False
        self.keeper_pid = 0

    def start(self) -> None:
        """Start the keeper; without it (no process left, say) servers run all the same."""
        if self._closed:
            return
        reading, writing = os.pipe()
        try:
            process = subprocess.Popen(  # noqa: S603  our own script
                [sys.executable, "-I", "-S", str(SCRIPT)],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError:
            os.close(writing)
            self._loop.later(AGAIN, self.start)
            return
        finally:
            os.close(reading)
        os.set_blocking(writing, False)
        process.returncode = 0
        self.keeper_pid = process.pid
        self._pipe = writing
        self._reaper.watch(process.pid, self._lost)
        for pid in self._pids:
            self._tell(f"+{pid}\n")

    def add(self, pid: int) -> None:
        """Note a group that is there."""
        self._pids.add(pid)
        self._tell(f"+{pid}\n")

    def remove(self, pid: int) -> None:
        """Note that a group is gone."""
        self._pids.discard(pid)
        self._tell(f"-{pid}\n")

    def close(self) -> None:
        """Let the keeper end; it kills those groups that are still there."""
        self._closed = True
        self._drop()

    def _tell(self, line: str) -> None:
        if self._pipe is not None:
            try:
                os.write(self._pipe, line.encode())
            except OSError:  # it is dead, or stopped: SIGCHLD brings a new one
                self._drop()

    def _lost(self, _ending: Ending) -> None:
        self._drop()
        self._loop.later(AGAIN, self.start)

    def _drop(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
