"""Short turns: all subjects are up, and all but the one that is measured are stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from benchmarks.bench import Bench
from benchmarks.load import LoadError, Target
from benchmarks.subject import Absent, Subject

__all__ = ["FAILURES", "TURNS", "all_up", "on_turn"]

TURNS = 3
"""How often a round changes from subject to subject with each load: the machine may be slower a second later."""

FAILURES = (Absent, LoadError, RuntimeError, TimeoutError)
"""What leaves one subject out, and does not end a case."""


def _signal(target: Target, number: int) -> None:
    for pid in target.watch:
        os.kill(pid, number)


@contextmanager
def all_up(bench: Bench, case: str, subjects: Sequence[Subject]) -> Iterator[list[tuple[Subject, Target]]]:
    """Start the subjects of a case, and have them stopped but for their turns, so that none takes from another."""
    with ExitStack() as stack:
        here: list[tuple[Subject, Target]] = []
        for subject in subjects:
            if not bench.wants(case, subject.name):
                continue
            try:
                target = stack.enter_context(subject.start(bench))
                bench.load.probe(target)
            except FAILURES as error:
                bench.leave_out(case, subject.name, str(error))
            else:
                _signal(target, signal.SIGSTOP)
                stack.callback(_signal, target, signal.SIGCONT)
                here.append((subject, target))
        yield here


@contextmanager
def on_turn(target: Target) -> Iterator[None]:
    """Let a subject run for one turn."""
    _signal(target, signal.SIGCONT)
    try:
        yield
    finally:
        _signal(target, signal.SIGSTOP)
