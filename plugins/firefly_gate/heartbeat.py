"""The heartbeat of a gate: silent clients are asked for a sign of life, and end when they stay silent."""

from __future__ import annotations

import gevent

from firefly_gate.connection import LOOKS
from firefly_gate.crowd import Crowd

__all__ = ["Heartbeat"]

SWEEPS = 5
"""It looks at one fifth of the sessions at a time."""


class Heartbeat:
    """Looks at every session six times in `interval` seconds, in a greenlet of its own."""

    def __init__(self, crowd: Crowd, interval: float) -> None:
        self._crowd = crowd
        self._interval = interval
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Look no more."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def _run(self) -> None:
        slot = 0
        while True:
            gevent.sleep(self._interval / LOOKS / SWEEPS)
            slot = (slot + 1) % SWEEPS
            for session in self._crowd.slot(slot, SWEEPS):
                session.look(busy=session.open > 0 or session.parked is not None)
