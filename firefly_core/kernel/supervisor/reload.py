"""Stops and starts processes stage by stage, so that of several replicas only one is away at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from firefly_core.kernel.supervisor.child import Child, State
from firefly_core.kernel.supervisor.shutdown import Patience

__all__ = ["Reload", "Stage"]

SETTLED = (State.READY, State.FATAL)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """First all of `stop` end, then all of `start` begin."""

    stop: Sequence[Child] = field(default_factory=tuple)
    start: Sequence[Child] = field(default_factory=tuple)


class Reload:
    """Works through the stages; each waits until what it started is ready or was given up."""

    def __init__(self, stages: Sequence[Stage], patience: Patience, on_done: Callable[[], None]) -> None:
        self._stages = [stage for stage in stages if stage.stop or stage.start]
        self._patience = patience
        self._on_done = on_done
        self._current: Stage | None = None
        self._started = False
        self._busy = False

    def restarts(self, child: Child) -> bool:
        """Whether the process will be started by this stage after it has stopped."""
        return self._current is not None and not self._started and child in self._current.start

    def proceed(self) -> None:
        """Look how far it is; to be called first, and after each change of a process."""
        if self._busy:
            return
        self._busy = True
        try:
            while self._step():
                pass
        finally:
            self._busy = False

    def _step(self) -> bool:
        """Do what can be done now; whether there may be more to do."""
        stage = self._current
        if stage is None:
            if not self._stages:
                self._on_done()
                return False
            self._current, self._started = self._stages.pop(0), False
            for child in self._current.stop:
                child.stop(self._patience.drain, self._patience.drain + self._patience.kill)
            return True
        if not self._started:
            if any(child.running for child in stage.stop):
                return False
            self._started = True
            for child in stage.start:
                child.revive()
            return True
        if all(child.state in SETTLED for child in stage.start):
            self._current = None
            return True
        return False
