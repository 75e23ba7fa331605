"""Stops processes in waves, all of them by one deadline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firefly_core.kernel.supervisor.child import Child
from firefly_core.kernel.supervisor.loop import Loop

__all__ = ["Patience", "Shutdown"]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds that processes have to stop: until they are asked to be quick, and until they are killed."""

    drain: float = 15.0
    kill: float = 5.0
    """Counted from the end of `drain`."""
    hurry: float = 2.0
    """The same after a second signal."""


class Shutdown:
    """Each wave is asked to stop when the one before it has ended; `on_done` is called when all have.

    The deadlines are the same for all: when the time to drain is over, every process that still runs is asked to be
    quick, whatever its wave.
    """

    def __init__(
        self, loop: Loop, waves: Sequence[Sequence[Child]], patience: Patience, on_done: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._waves = [list(wave) for wave in waves]
        self._patience = patience
        self._on_done = on_done
        self._quick_at = loop.now() + patience.drain
        self._kill_at = self._quick_at + patience.kill
        self._asked = -1
        self._done = False
        self._overtime = loop.later(patience.drain, self._ask_rest)

    def proceed(self) -> None:
        """Look how far it is; to be called first, and after each change of a process."""
        while not self._done:
            if self._asked >= 0 and any(child.running for child in self._waves[self._asked]):
                return
            if self._asked + 1 >= len(self._waves):
                self._done = True
                self._overtime.cancel()
                self._on_done()
                return
            self._asked += 1
            self._ask(self._waves[self._asked])

    def hurry(self) -> None:
        """Ask every process to end at once."""
        now = self._loop.now()
        self._quick_at = now
        self._kill_at = min(self._kill_at, now + self._patience.hurry)
        self._asked = -1
        self._ask_rest()

    def _ask_rest(self) -> None:
        rest = [child for wave in self._waves[self._asked + 1 :] for child in wave]
        self._waves = [[child for wave in self._waves for child in wave]]
        self._asked = 0
        self._ask(rest)
        self.proceed()

    def _ask(self, children: Sequence[Child]) -> None:
        now = self._loop.now()
        for child in children:
            child.stop(max(0.0, self._quick_at - now), max(0.0, self._kill_at - now))
