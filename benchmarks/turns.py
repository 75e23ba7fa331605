"""Short turns: all subjects are up, and all but the one that is measured are stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.load import Target

__all__ = ["TURNS", "on_turn", "stopped"]

TURNS = 3
"""How often a round changes from subject to subject with each load: the machine may be slower a second later."""


def _signal(target: Target, number: int) -> None:
    for pid in target.watch:
        os.kill(pid, number)


@contextmanager
def stopped(target: Target) -> Iterator[None]:
    """Have a subject's processes stopped but for its turns, so that it takes nothing from the one that is measured."""
    _signal(target, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(target, signal.SIGCONT)


@contextmanager
def on_turn(target: Target) -> Iterator[None]:
    """Let a subject run for one turn."""
    _signal(target, signal.SIGCONT)
    try:
        yield
    finally:
        _signal(target, signal.SIGSTOP)
