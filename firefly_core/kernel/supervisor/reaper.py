"""Notices the end of processes, ends what is left of their groups, and says how they ended."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Ending", "Reaper", "kill_group"]


@dataclass(frozen=True)
class Ending:
    """How a process ended: with an exit status, or by a signal."""

    status: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit {self.status}"
        with contextlib.suppress(ValueError):
            return signal.Signals(self.signal).name
        return f"signal {self.signal}"


class Reaper:
    """Knows the processes that were started, each the leader of a process group of its own."""

    def __init__(self) -> None:
        self._watched: dict[int, Callable[[Ending], None]] = {}

    def watch(self, pid: int, on_end: Callable[[Ending], None]) -> None:
        """Call `on_end` once, from `reap`, when the process has ended."""
        self._watched[pid] = on_end

    def reap(self) -> None:
        """Look who has ended; to be called at every SIGCHLD."""
        for pid, on_end in list(self._watched.items()):
            found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                continue
            # Its children go with it. As long as it is not waited for, its number cannot belong to another group.
            kill_group(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            del self._watched[pid]
            exited = found.si_code == os.CLD_EXITED
            on_end(Ending(status=found.si_status) if exited else Ending(signal=found.si_status))


def kill_group(pid: int, number: int) -> None:
    """Send a signal to the group that `pid` leads; nothing happens when it has ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
