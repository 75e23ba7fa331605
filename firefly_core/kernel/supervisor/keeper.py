"""Kills what the servers have started themselves, should the supervisor die without a word; a process of its own.

Linux kills each server together with its supervisor, but nobody kills a server's own children. This script reads lines
from its standard input: `+PID` and `-PID` for a process group that is there and one that is gone. At the end of the
input it kills the groups that are still there. It is run by path, without anything of Firefly or of the environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Read until the end, then kill; signals that stop the supervisor must not stop this."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            groups.add(pid)
        else:
            groups.discard(pid)
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
