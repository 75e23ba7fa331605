"""Which numbered pushes have come, and when to say so."""

from __future__ import annotations

from firefly_client.limits import Limits

__all__ = ["Acknowledged"]


class Acknowledged:
    """The highest number that has come. A server keeps what is not acknowledged, and repeats it if need be."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.reset()

    def reset(self) -> None:
        """Begin with a new session."""
        self.seq = 0
        """What to send as `ack`."""
        self._pushes = 0
        self._bytes = 0

    def take(self, seq: int, size: int) -> bool:
        """Note a push; False: it has come before. 0 is the number of those without one, which are always new."""
        if not seq:
            return True
        if seq <= self.seq:
            return False
        self.seq = seq
        self._pushes += 1
        self._bytes += size
        return True

    @property
    def due(self) -> bool:
        """Whether so much has come that it had better be said now."""
        return self._pushes >= self._limits.ack_pushes or self._bytes >= self._limits.ack_bytes

    def said(self) -> None:
        """Note that `seq` was sent."""
        self._pushes = self._bytes = 0
