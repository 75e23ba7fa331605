"""Who has started this process, and that it must not outlive him."""

from __future__ import annotations

import ctypes
import os
import signal

__all__ = ["die_with"]

PR_SET_PDEATHSIG = 1
ORPHAN = 1


def die_with(parent: int) -> None:
    """Have Linux kill this process when `parent` dies, who must be its parent; when he has died already, end here.

    To be called by the main thread, of a process that the parent's main thread has started.
    """
    # Not every kernel has it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(ORPHAN)
