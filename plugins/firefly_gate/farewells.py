"""Farewells: sessions that have ended and whose last command may still run; then they say goodbye, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent.event import Event

from firefly_core.kernel.session import Uid

if TYPE_CHECKING:
    from firefly_gate.session import GateSession

__all__ = ["Farewells"]


class Farewells:
    """Who is leaving, why, and who waits for that."""

    def __init__(self) -> None:
        self._reasons: dict[int, str] = {}
        self._players: dict[Uid, GateSession] = {}
        """The session of each player that ended last, until it has said goodbye."""
        self._waited_for: dict[int, Event] = {}
        self._saying = 0

    def __len__(self) -> int:
        return len(self._reasons)

    @property
    def under_way(self) -> bool:
        """Whether somebody has not said goodbye to the end."""
        return bool(self._reasons) or self._saying > 0

    def begin(self, session: GateSession, reason: str) -> None:
        """Note that a session has ended."""
        self._reasons[session.id] = reason
        if session.uid is not None:
            self._players[session.uid] = session

    def take(self, session: GateSession) -> str | None:
        """Give why a session has ended, to whoever says its goodbye; None: that is being done, or it lives."""
        reason = self._reasons.pop(session.id, None)
        self._saying += reason is not None
        return reason

    def done(self, session: GateSession) -> None:
        """Note that a session has said goodbye."""
        self._saying -= 1
        if session.uid is not None and self._players.get(session.uid) is session:
            del self._players[session.uid]
        waited_for = self._waited_for.pop(session.id, None)
        if waited_for is not None:
            waited_for.set()

    def older(self, uid: Uid, session: GateSession) -> GateSession | None:
        """Give a session of that player, other than this one, that has not said goodbye yet."""
        older = self._players.get(uid)
        return older if older is not session else None

    def wait(self, session: GateSession) -> None:
        """Wait until a session that `older` gave has said goodbye."""
        self._waited_for.setdefault(session.id, Event()).wait()
