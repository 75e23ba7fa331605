"""Farewells: sessions that have ended and whose last command may still run; then they say goodbye, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent.event import Event

from firefly_core.kernel.session import Uid

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel
    from firefly_gate.session import GateSession

__all__ = ["Farewells"]


LONGEST = 30.0
"""Seconds for which a player's next login is held up by the end of his last session."""
NOBODY: tuple[None, float] = (None, 0.0)


class Farewells:
    """Who is leaving, why, and who waits for that."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._reasons: dict[int, str] = {}
        self._players: dict[Uid, tuple[GateSession, float]] = {}
        """The session of each player that ended last, until it has said goodbye, and when it ended."""
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
            self._players[session.uid] = session, self._kernel.clock.monotonic()

    def take(self, session: GateSession) -> str | None:
        """Give why a session has ended, to whoever says its goodbye; None: that is being done, or it lives."""
        reason = self._reasons.pop(session.id, None)
        self._saying += reason is not None
        return reason

    def done(self, session: GateSession) -> None:
        """Note that a session has said goodbye."""
        self._saying -= 1
        if session.uid is not None and self._players.get(session.uid, NOBODY)[0] is session:
            del self._players[session.uid]
        waited_for = self._waited_for.pop(session.id, None)
        if waited_for is not None:
            waited_for.set()

    def older(self, uid: Uid, session: GateSession) -> GateSession | None:
        """Give a session of that player, other than this one, whose goodbye is still to be waited for."""
        older, since = self._players.get(uid, NOBODY)
        if older is None or older is session:
            return None
        if self._kernel.clock.monotonic() - since > LONGEST:
            self._kernel.log.error("the session %d ended %.0f s ago and still runs a command", older.id, LONGEST)
            return None
        return older

    def wait(self, session: GateSession) -> None:
        """Wait until a session that `older` gave has said goodbye."""
        self._waited_for.setdefault(session.id, Event()).wait()
