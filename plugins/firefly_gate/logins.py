"""Logins: the gate's side of the directory, so that a player is logged in once in the whole cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from firefly_core.errors import CallError, Refuse, Unavailable
from firefly_core.kernel.config.roots import root_address
from firefly_core.kernel.mesh.directory import Directory, directory_process
from firefly_core.kernel.mesh.peer import Peer
from firefly_core.kernel.session import Uid

if TYPE_CHECKING:
    from firefly_gate.gate import Gate
    from firefly_gate.session import GateSession

__all__ = ["Logins"]

SLICE = 1000
"""Players in one message to a directory that has come back."""
STATES = 25
"""States of sessions in one: each is 20 KiB at most."""


class Logins:
    """Asks the directory, which is here or at another process. While it is away nobody new can log in."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._kernel = gate.kernel
        self._process = ""
        self._displaced: dict[int, int] = {}
        """Generations that displaced a session whose own login was still on its way."""
        self._pending: set[int] = set()

    def start(self) -> None:
        """Find the directory, and reach for it where it is elsewhere."""
        kernel = self._kernel
        kernel.mesh.session_verbs["displace"] = self._on_displace
        where = directory_process(kernel.cluster)
        if where is None:
            kernel.directory = kernel.directory or Directory(kernel)
            return
        address = root_address(kernel.cluster, *where)
        self._process = address.process
        if self._process != kernel.name:
            kernel.mesh.listeners.append(self._on_change)
            kernel.links.reach(address)

    def enter(self, session: GateSession, uid: Uid, *, replace: bool = False) -> None:
        """Log a session in and give it its generation; may block.

        Raises Unavailable while the directory is away, Refuse where the player is logged in and stays.
        """
        self._pending.add(session.id)
        try:
            generation = self._login(session.id, uid, replace or self._gate.config.second_login == "replace")
        finally:
            self._pending.discard(session.id)
            newer = self._displaced.pop(session.id, 0)
        if not generation or newer > generation:
            raise Refuse("logged_in_elsewhere", "this player is logged in already")
        session.generation = generation

    def leave(self, session: GateSession, uid: Uid) -> None:
        """Log a session out; never blocks."""
        if self._kernel.directory is not None:
            self._kernel.directory.logout(self._kernel.name, session.id, uid)
        elif (peer := self._kernel.mesh.peers.get(self._process)) is not None:
            # Lost with the channel: the gate tells who is here when the directory comes back.
            peer.notify("firefly.logout", session.id, uid)

    def keep(self, states: Sequence[tuple[bytes, dict[str, Any]]]) -> bool:
        """Have the states of resumable sessions kept in case this gate dies; never blocks. False: not all were sent."""
        directory = self._kernel.directory
        if directory is not None:
            for digest, state in states:
                directory.refuge.keep(self._kernel.name, self._kernel.boot_id, digest, state)
            return True
        peer = self._kernel.mesh.peers.get(self._process)
        slices = [states[begin : begin + STATES] for begin in range(0, len(states), STATES)]
        return peer is not None and all(peer.notify("firefly.keep", each) for each in slices)

    def forget(self, digest: bytes) -> None:
        """Have it let go; never blocks."""
        directory = self._kernel.directory
        if directory is not None:
            directory.refuge.forget(digest)
        elif (peer := self._kernel.mesh.peers.get(self._process)) is not None:
            peer.notify("firefly.forget", digest)

    def claim(self, digest: bytes, former: bytes) -> dict[str, Any] | None:
        """Give the state that another gate had kept, once, or once more by `former`; None: there is none.

        May block; raises Unavailable.
        """
        directory = self._kernel.directory
        if directory is not None:
            return directory.refuge.claim(digest, former)
        peer = self._kernel.mesh.peers.get(self._process)
        if peer is None or not peer.connected:
            raise Unavailable("nobody can say just now whose token this is")
        try:
            found: dict[str, Any] | None = peer.call("firefly.claim", digest, former)
        except CallError as error:
            raise Unavailable("nobody can say just now whose token this is") from error
        return found

    def unclaim(self, digest: bytes, state: dict[str, Any]) -> None:
        """Give a claimed state back, which could not be taken over; never blocks."""
        directory = self._kernel.directory
        if directory is not None:
            directory.refuge.unclaim(self._kernel.name, self._kernel.boot_id, digest, state)
        elif (peer := self._kernel.mesh.peers.get(self._process)) is not None:
            peer.notify("firefly.unclaim", digest, state)

    def _login(self, sid: int, uid: Uid, replace: bool) -> int:
        directory = self._kernel.directory
        if directory is not None:
            return directory.login(self._kernel.name, sid, uid, replace)
        peer = self._kernel.mesh.peers.get(self._process)
        if peer is None or not peer.connected:
            raise Unavailable("nobody can say just now who is logged in")
        try:
            return int(peer.call("firefly.login", sid, uid, replace))
        except CallError as error:
            raise Unavailable("nobody can say just now who is logged in") from error

    def _on_change(self, peer: Peer, connected: bool) -> None:
        """Tell a directory that has come back who is here; whoever has left meanwhile is then let go there."""
        if peer.name != self._process or not connected or peer.announced:
            return
        sent = self._gate.resumption.keep_all()
        players = [(uid, session.id, session.generation) for uid, session in self._gate.crowd.players.items()]
        for begin in range(0, len(players), SLICE):
            sent = peer.notify("firefly.players", players[begin : begin + SLICE], False) and sent
        if sent:
            peer.notify("firefly.players", [], True)

    def _on_displace(self, _peer: Peer | None, sid: int, uid: Uid, generation: int) -> None:
        """End a session whose player has logged in elsewhere since."""
        session = self._gate.crowd.sessions.get(sid)
        if session is not None and session.uid == uid and session.generation < generation:
            session.kick("logged_in_elsewhere")
        elif sid in self._pending:
            self._displaced[sid] = generation
