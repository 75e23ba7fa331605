"""Starts a process by exec, in a process group of its own, with its output in pipes; only from the main thread.

A server asks Linux to be killed with its parent; "parent" means the thread that started it, hence the main thread.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Spawned", "spawn"]


@dataclass(frozen=True)
class Spawned:
    """A process just started, and the reading ends of its pipes."""

    pid: int
    stdout: int
    stderr: int


def spawn(command: Sequence[str], environ: Mapping[str, str], inherited: Collection[int] = ()) -> Spawned:
    """Start `command` with these environment variables and descriptors besides 0, 1 and 2; raises OSError."""
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603  the command is the interpreter with arguments of our own
            command,
            stdin=subprocess.DEVNULL,
            stdout=out_end,
            stderr=err_end,
            pass_fds=tuple(inherited),
            env=dict(environ),
            process_group=0,
        )
    except BaseException:
        os.close(out)
        os.close(err)
        raise
    finally:
        os.close(out_end)
        os.close(err_end)
    # The reaper waits for it; Popen must neither do so nor complain that nobody did.
    process.returncode = 0
    return Spawned(process.pid, out, err)
