"""Groups and pushes to players: membership lives at the gates and dies with the session.

A push goes once to every gate that may have a reader; the gate knows who that is.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from firefly_core.errors import CallError
from firefly_core.kernel.handlers.marks import Policy, Push
from firefly_core.kernel.parcel import Parcel
from firefly_core.kernel.session import Session, Uid

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.mesh.peer import Peer

__all__ = ["GATE_ROLE", "MAX_GROUPS", "Group", "Groups", "Outlet", "check_group"]

GATE_ROLE = "gate"
MAX_NAME = 255
MAX_GROUPS = 64
"""Groups that one session may be in."""
LIST = 1000
"""Players that one message between servers names at most."""


def check_group(name: object) -> None:
    """Look at a group's name; raises ValueError for one over 255 characters or an empty one."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise ValueError(f"a group's name has 1 to {MAX_NAME} characters")


class Outlet(Protocol):
    """Where pushes leave for clients: the gate of this server, if it has one."""

    def deliver(self, target: dict[str, Any], parcel: Parcel) -> None:
        """Push to this gate's sessions that `target` means.

        `{"group": name}`, `{"uids": [...]}`, `{"sids": [...]}`, or `{}` for all players; each but the third may leave
        players out: `"but": [uid, ...]`.
        """

    def members(self, group: str | None) -> list[Uid]:
        """Give the uids of this gate's members of `group`; of all its players for None."""


class Group:
    """A named set of sessions that can be pushed to. It exists as long as it has members."""

    __slots__ = ("_groups", "name")

    def __init__(self, groups: Groups, name: str) -> None:
        self._groups = groups
        self.name = name

    def join(self, session: Session) -> None:
        """Add a session; it leaves by itself when it ends."""
        session.join(self.name)

    def leave(self, session: Session) -> None:
        """Remove a session; harmless when it is not in."""
        session.leave(self.name)

    def push(
        self,
        push: Push | int,
        value: Any = None,
        *,
        policy: Policy | None = None,
        key: Hashable = None,
        but: Collection[Uid] = (),
    ) -> None:
        """Send something unasked to every member but those players; never blocks."""
        self._groups.send({"group": self.name}, push, value, policy=policy, key=key, but=but)

    def members(self) -> list[Uid]:
        """Give the uids of the members that are logged in, from all gates; blocks for those on other servers."""
        return self._groups.members(self.name)


class Groups:
    """This server's way to all groups."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.outlet: Outlet | None = None
        """Set by a gate service when it starts."""
        self.undelivered = 0
        """Pushes that a lost or overloaded gate did not get."""

    def group(self, name: str) -> Group:
        """Give the group `name`; raises ValueError for a name over 255 characters or an empty one."""
        check_group(name)
        return Group(self, name)

    def push_to(
        self,
        uid: Uid | Collection[Uid],
        push: Push | int,
        value: Any,
        *,
        policy: Policy | None = None,
        key: Hashable = None,
    ) -> None:
        """Push to a player or to several, wherever they are."""
        uids = [uid] if isinstance(uid, (int, str)) else list(uid)
        for begin in range(0, len(uids), LIST):
            self.send({"uids": uids[begin : begin + LIST]}, push, value, policy=policy, key=key)

    def send(
        self,
        target: dict[str, Any],
        push: Push | int,
        value: Any,
        *,
        policy: Policy | None = None,
        key: Hashable = None,
        but: Collection[Uid] = (),
    ) -> None:
        """Push to every session that `target` means, at every gate, leaving those players out."""
        if but:
            target = {**target, "but": list(but)}
        parcel = Parcel(push, value, policy, key, self._kernel.handlers.pushes)
        if self.outlet is not None:
            self.outlet.deliver(target, parcel)
        wire = None
        for peer in self._gates():
            wire = wire or parcel.to_wire()
            if not peer.notify("firefly.push", target, wire):
                self.undelivered += 1

    def members(self, name: str | None) -> list[Uid]:
        """Give the uids of a group's members at every gate that answers; of all players for None."""
        found = self.outlet.members(name) if self.outlet is not None else []
        for peer in self._gates():
            try:
                found.extend(peer.call("firefly.session", "members", name))
            except CallError as error:
                self._kernel.log.warning("no members of %s from %s: %s", name or "the cluster", peer.name, error)
        return found

    def _gates(self) -> Iterable[Peer]:
        return [peer for peer in self._kernel.mesh.peers.values() if peer.connected and GATE_ROLE in peer.roles]
