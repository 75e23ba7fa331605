"""The crowd: everybody who is connected to a gate, by session, by player and by group."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gevent import get_hub

from firefly_core.kernel.groups import MAX_GROUPS, check_group
from firefly_core.kernel.parcel import Parcel
from firefly_core.kernel.session import Uid

if TYPE_CHECKING:
    from firefly_gate.door import Door
    from firefly_gate.session import GateSession

__all__ = ["Crowd"]

SLICE = 256
"""Sessions that a push reaches in one turn of the loop: about 1.5 ms."""
MAX_DELIVERIES = 1024
"""Pushes that may wait for those before them; beyond that the loop is held until there are fewer."""


class Crowd:
    """Sessions, players and groups of one gate. Where pushes leave for clients."""

    def __init__(self) -> None:
        self.sessions: dict[int, GateSession] = {}
        self.players: dict[Uid, GateSession] = {}
        self.groups: dict[str, dict[int, GateSession]] = {}
        self.missed = 0
        """Pushes for sessions that have ended, and for players who are not at this gate: away, or at another one."""
        self._deliveries: deque[Delivery] = deque()
        """Pushes to many that are under way, and those that must wait behind them."""
        self._loop = get_hub().loop

    def enter(self, session: GateSession) -> None:
        """Take a new session in."""
        self.sessions[session.id] = session

    def leave(self, session: GateSession) -> None:
        """Let a session go, out of its groups too."""
        self.sessions.pop(session.id, None)
        self.unbind(session)
        for group in session.groups:
            self._remove(session, group)

    def bind(self, session: GateSession, uid: Uid) -> None:
        """Note who a session is."""
        self.players[uid] = session

    def unbind(self, session: GateSession) -> None:
        """Note that a session is nobody any more."""
        if session.uid is not None and self.players.get(session.uid) is session:
            del self.players[session.uid]

    def slot(self, slot: int, slots: int) -> list[GateSession]:
        """Give one of `slots` equal parts of the sessions."""
        return [session for session in self.sessions.values() if session.id % slots == slot]

    # ----------------------------------------------------------------------------------------------- groups

    def join(self, session: GateSession, group: str) -> None:
        """Make a session a member; raises ValueError for a bad name, and when it is in too many groups."""
        check_group(group)
        if session.closed:
            return
        if group in session.groups:
            return
        if len(session.groups) >= MAX_GROUPS:
            raise ValueError(f"a session may be in {MAX_GROUPS} groups")
        session.groups = (*session.groups, group)
        self.groups.setdefault(group, {})[session.id] = session

    def drop(self, session: GateSession, group: str) -> None:
        """End a membership."""
        if group in session.groups:
            session.groups = tuple(other for other in session.groups if other != group)
        self._remove(session, group)

    def _remove(self, session: GateSession, group: str) -> None:
        members = self.groups.get(group)
        if members is not None:
            members.pop(session.id, None)
            if not members:
                del self.groups[group]

    def members(self, group: str | None) -> list[Uid]:
        """Give the uids of a group's members here; of all players for None."""
        if group is None:
            return list(self.players)
        return [session.uid for session in self.groups.get(group, {}).values() if session.uid is not None]

    # ----------------------------------------------------------------------------------------------- pushes

    def push(self, session: GateSession, parcel: Parcel) -> None:
        """Push to one session."""
        if self._deliveries:
            self._deliveries.append(Delivery([session], parcel))
        else:
            session.deliver(*_frames(session, parcel), parcel.policy, parcel.key)

    def deliver(self, target: dict[str, Any], parcel: Parcel) -> None:
        """Push to the sessions that `target` means, encoded once for each door; to many in slices of a loop turn."""
        delivery = Delivery(list(self._readers(target)), parcel)
        if self._deliveries:
            # Behind those that are under way, so that each session gets its pushes in order.
            self._deliveries.append(delivery)
            while len(self._deliveries) > MAX_DELIVERIES:
                self._deliver_slice()
        elif delivery.run():
            self._deliveries.append(delivery)
            self._loop.run_callback(self._go_on)

    def _go_on(self) -> None:
        self._deliver_slice()
        if self._deliveries:
            self._loop.run_callback(self._go_on)

    def _deliver_slice(self) -> None:
        if self._deliveries and not self._deliveries[0].run():
            self._deliveries.popleft()

    def _readers(self, target: dict[str, Any]) -> Iterable[GateSession]:
        if "group" in target:
            found: Iterable[GateSession] = self.groups.get(target["group"], {}).values()
        elif "uids" in target:
            found = [session for uid in target["uids"] if (session := self.players.get(uid)) is not None]
            self.missed += len(target["uids"]) - len(found)
        elif "sids" in target:
            found = [session for sid in target["sids"] if (session := self.sessions.get(sid)) is not None]
            self.missed += len(target["sids"]) - len(found)
        else:
            found = self.players.values()
        left_out = target.get("but")
        return [session for session in found if session.uid not in left_out] if left_out else found


class Delivery:
    """One push on its way to many sessions."""

    __slots__ = ("_frames", "_next", "_parcel", "_sessions")

    def __init__(self, sessions: list[GateSession], parcel: Parcel) -> None:
        self._sessions = sessions
        self._parcel = parcel
        self._frames: dict[Door | tuple[Door, int], tuple[bytes, bytes]] = {}
        self._next = 0

    def run(self) -> bool:
        """Deliver to the next slice of sessions; whether any are left."""
        policy, key = self._parcel.policy, self._parcel.key
        reliable = policy == "reliable"
        missed = 0
        door: Door | None = None
        end = self._next + SLICE
        for session in self._sessions[self._next : end]:
            if session.door is not door:
                plain, frame = self._both(session)
                # Where compression may be agreed on, each client is looked at: they may differ.
                door = session.door if not session.door.compression else None
            if reliable and session.kept is None and session.answers is None:
                # As `deliver` does it, without its call: for most of a large crowd it is this.
                if not session.stream.write(frame):
                    missed += 1
            else:
                session.deliver(plain, frame, policy, key)
        if missed:
            self._sessions[0].gate.counts.dropped += missed
        self._next = end
        return end < len(self._sessions)

    def _both(self, session: GateSession) -> tuple[bytes, bytes]:
        """Give a push for a door, and where its clients may agree on compression for those who agreed alike."""
        layer = session.layer
        key = session.door if layer is None or not layer.compression else (session.door, layer.variant)
        both = self._frames.get(key)
        if both is None:
            both = self._frames[key] = _frames(session, self._parcel)
        return both


def _frames(session: GateSession, parcel: Parcel) -> tuple[bytes, bytes]:
    """Give a push for a session's door, without the WebSocket's framing and with it."""
    plain = session.wire.encode_push(parcel.command, parcel.name, parcel.body(session.codec))
    # Not wrapped: this session may be closing while the others are open.
    return plain, plain if session.layer is None else session.layer.framed(plain, session.wire.text)
