"""Whether the other end of a channel is alive: a ping after silence, and an end after more of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from firefly_core.channel.deadlines import Deadline, Deadlines

if TYPE_CHECKING:
    from firefly_core.channel.rpc import RpcChannel

__all__ = ["Liveness"]

LATE = 1.0
"""Seconds by which a check may be late before this process, and not the peer, is taken for the one that hung."""


class Liveness:
    """Looks at the channel's last sign of life whenever there could be something to do, and never oftener.

    A peer is pinged, and dead when it does not answer. A stranger (no hello) may not know what a ping is: it is closed
    when it has been silent for long.
    """

    __slots__ = ("_channel", "_deadline", "_deadlines", "_due", "_now")

    def __init__(self, channel: RpcChannel, deadlines: Deadlines, now: Callable[[], float]) -> None:
        self._channel = channel
        self._deadlines = deadlines
        self._now = now
        self._deadline: Deadline | None = None
        self._due = 0.0

    def start(self) -> None:
        """Begin to watch; called again when the hello is complete, for other bounds apply then."""
        self.stop()
        self._arm(self._bounds()[0])

    def stop(self) -> None:
        """Watch no more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _bounds(self) -> tuple[float, float]:
        """Give the silence after which the other end is asked, and the one after which it is dead."""
        limits = self._channel.limits
        if self._channel.peer is None:
            return limits.stranger_idle, limits.stranger_idle
        return limits.ping_after, limits.dead_after

    def _arm(self, delay: float) -> None:
        self._due = self._now() + delay
        self._deadline = self._deadlines.arm(delay, self._check)

    def _check(self) -> None:
        now = self._now()
        ask, dead = self._bounds()
        silence = now - self._channel.heard
        if silence < ask:
            self._arm(ask - silence)
        elif silence < dead:
            self._channel.ping()
            self._arm(min(dead - silence, ask))
        elif now - self._due > LATE:
            # What the other end sent meanwhile waits in the socket: read it first.
            self._arm(LATE)
        else:
            self._channel.close("dead")
