"""Roster: the sessions at the gates of one server, as the notices of the hooks tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import gevent

from firefly_core.kernel.handlers.marks import Push
from firefly_core.kernel.parcel import Parcel
from firefly_core.kernel.session import Session

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Roster"]

MOST = 500
"""Sessions in one answer."""
SLICE = 256
"""Sessions that a notice goes to before others have their turn."""


@attrs.frozen
class Guest:
    """One session and since when it is here."""

    session: Session
    since: float

    def plain(self) -> dict[str, Any]:
        """Give what can be told of it; its id as a text, because it may be larger than what a browser can count to."""
        session = self.session
        return {
            "id": str(session.id),
            "uid": session.uid,
            "address": session.address,
            "protocol": session.protocol,
            "codec": session.codec.name,
            "since": self.since,
            "groups": sorted(getattr(session, "groups", None) or ()),
            "routes": dict(getattr(session, "routes", None) or {}),
            "open": getattr(session, "open", 0),
            "data": session.data.plain(),
        }

    def has(self, text: str) -> bool:
        """Whether a text in lower case is in its id, its player's, its address, its protocol or one of its groups."""
        session = self.session
        groups = getattr(session, "groups", None) or ()
        told = (str(session.id), str(session.uid), session.address, session.protocol, *groups)
        return any(text in each.lower() for each in told)


class Roster:
    """Who is connected. Sessions are let go as soon as they have ended, whether that was told or not."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._guests: dict[int, Guest] = {}

    def enter(self, session: Session) -> None:
        """Take in a session."""
        if not session.closed:
            self._guests[session.id] = Guest(session, self._kernel.clock.time())

    def leave(self, session: Session) -> None:
        """Let a session go."""
        self._guests.pop(session.id, None)

    # --------------------------------------------------------------------------------------------------- verbs

    def sessions(self, text: str = "", offset: int = 0, limit: int = 100) -> dict[str, Any]:
        """Give those whose figures have `text` in them, newest first, and how many there are."""
        wanted = text.strip().lower()
        found = [guest for guest in self._present() if not wanted or guest.has(wanted)]
        found.reverse()
        first = max(0, offset)
        chosen = found[first : first + max(1, min(limit, MOST))]
        return {"total": len(found), "sessions": [guest.plain() for guest in chosen]}

    def kick(self, sid: str | None, uid: int | str | None, reason: str) -> int:
        """End one session by its id, or those of a player; gives how many."""
        if sid is not None:
            guest = self._guests.get(int(sid))
            meant = [guest] if guest is not None else []
        else:
            # A page has texts only: "7" means the player 7 as well as the player "7".
            meant = [
                guest
                for guest in self._present()
                if guest.session.uid is not None and str(guest.session.uid) == str(uid)
            ]
        ended = 0
        for guest in meant:
            if not guest.session.closed:
                guest.session.kick(reason)
                ended += 1
        return ended

    def notice(self, text: str, push: int, group: str | None, uid: int | str | None) -> int:
        """Push `{"text": ...}` to everybody here who has logged in, to a group, or to a player; gives how many."""
        parcel = Parcel(Push(push, name="notice"), {"text": text}, None, None, {})
        outlet = self._kernel.groups.outlet
        if outlet is None:
            return 0
        meant = [guest.session.id for guest in self._present() if self._is_meant(guest.session, group, uid)]
        for begin in range(0, len(meant), SLICE):
            outlet.deliver({"sids": meant[begin : begin + SLICE]}, parcel)
            gevent.sleep(0)
        return len(meant)

    def groups(self) -> dict[str, int]:
        """Give how many members each group has here."""
        sizes: dict[str, int] = {}
        for guest in self._present():
            for group in getattr(guest.session, "groups", None) or ():
                sizes[group] = sizes.get(group, 0) + 1
        return sizes

    def _present(self) -> list[Guest]:
        gone = [sid for sid, guest in self._guests.items() if guest.session.closed]
        for sid in gone:
            del self._guests[sid]
        return list(self._guests.values())

    @staticmethod
    def _is_meant(session: Session, group: str | None, uid: int | str | None) -> bool:
        if group is not None:
            return group in (getattr(session, "groups", None) or ())
        return session.uid is not None and (uid is None or str(session.uid) == str(uid))
