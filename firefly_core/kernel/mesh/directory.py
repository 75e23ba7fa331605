"""The directory: which player is at which gate. One process of the cluster has it; a login anywhere is a call to it.

Each login has a generation, which only grows, over restarts too. Of two logins of one player the higher generation
stays, and the gate of the other is told to end it. When the process that has the directory comes back, the gates tell
it who is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from firefly_core.kernel.config.roots import ROOT
from firefly_core.kernel.mesh.refuge import Refuge

if TYPE_CHECKING:
    from firefly_core.kernel.config.cluster import Cluster
    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.mesh.peer import Peer
    from firefly_core.kernel.session import Uid

__all__ = ["Directory", "Login", "directory_process"]


def directory_process(cluster: Cluster) -> tuple[str, int] | None:
    """Give server and replica of the process that has the directory; None: every gate is on its own."""
    named = cluster.firefly.directory
    if named is not None:
        return named, 1
    for server in cluster.servers.values():
        if ROOT in server.services:
            return server.name, 1
    return None


@attrs.frozen
class Login:
    """One player's login: the process of his gate, his session there, and its generation."""

    gate: str
    sid: int
    generation: int


class Directory:
    """Players by uid. Its methods are what gates call, with their own name as `gate`."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._logins: dict[Uid, Login] = {}
        self._generation = 0
        self.refuge = Refuge(kernel)
        mesh = kernel.mesh
        mesh.methods["firefly.login"] = lambda peer, *rest: self.login(peer.name, *rest)
        mesh.methods["firefly.logout"] = lambda peer, *rest: self.logout(peer.name, *rest)
        mesh.methods["firefly.players"] = lambda peer, *rest: self.players(peer.name, *rest)
        mesh.methods["firefly.locate"] = lambda _peer, uid: self.locate(uid)
        mesh.listeners.append(self._on_change)
        self._boots: dict[str, int] = {}
        self._unconfirmed: dict[str, dict[Uid, Login]] = {}
        """By gate: who was there when its channel was lost, until it has said who is. A logout may be lost with it."""

    def __len__(self) -> int:
        return len(self._logins)

    def login(self, gate: str, sid: int, uid: Uid, replace: bool) -> int:
        """Note a login and give its generation, 0 where `replace` is false and the player is logged in elsewhere.

        A login at a gate that is away keeps nobody out, and what a dead gate has left of the player is let go.
        """
        older = self._logins.get(uid)
        if older is not None and not replace and (older.gate, older.sid) != (gate, sid) and self._is_here(older.gate):
            return 0
        self.refuge.forget_player(uid)
        # Milliseconds since 1970: higher than whatever an earlier process of the directory gave.
        self._generation = max(self._generation + 1, int(self._kernel.clock.time() * 1000))
        self._logins[uid] = Login(gate, sid, self._generation)
        if older is not None and (older.gate, older.sid) != (gate, sid):
            self._displace(uid, older, self._generation)
        return self._generation

    def logout(self, gate: str, sid: int, uid: Uid) -> None:
        """Forget a login, unless a newer one has taken its place."""
        login = self._logins.get(uid)
        if login is not None and (login.gate, login.sid) == (gate, sid):
            del self._logins[uid]

    def players(self, gate: str, logins: list[tuple[Uid, int, int]], last: bool) -> None:
        """Take over who is at a gate that has (again) connected; the higher generation stays.

        With the `last` of them it has named everybody; who was there before, and was not named, is not.
        """
        unconfirmed = self._unconfirmed.get(gate, {})
        for uid, sid, generation in logins:
            unconfirmed.pop(uid, None)
            mine = Login(gate, sid, generation)
            known = self._logins.get(uid)
            if known is None or known.generation <= generation:
                self._logins[uid] = mine
                if known is not None and (known.gate, known.sid) != (gate, sid):
                    self._displace(uid, known, generation)
            elif (known.gate, known.sid) != (gate, sid):
                self._displace(uid, mine, known.generation)
        if last:
            for uid, login in unconfirmed.items():
                if self._logins.get(uid) is login:
                    del self._logins[uid]
            self._unconfirmed.pop(gate, None)
            self.refuge.confirm(gate)

    def locate(self, uid: Uid) -> str | None:
        """Give the process of the gate where a player is; None: he is away."""
        login = self._logins.get(uid)
        return login.gate if login is not None else None

    def _is_here(self, gate: str) -> bool:
        peer = self._kernel.mesh.peers.get(gate)
        return gate == self._kernel.name or (peer is not None and peer.connected)

    def _displace(self, uid: Uid, login: Login, generation: int) -> None:
        mesh = self._kernel.mesh
        if login.gate == self._kernel.name:
            self._kernel.runners.run(mesh.session_verbs["displace"], None, login.sid, uid, generation)
        elif (peer := mesh.peers.get(login.gate)) is not None:
            peer.notify("firefly.session", "displace", login.sid, uid, generation)

    def _on_change(self, peer: Peer, connected: bool) -> None:
        """Forget the players of a gate that was started anew; of one that is back, wait for who is still there."""
        if not connected:
            return
        gate = peer.name
        if self._boots.get(gate) != peer.boot_id:
            self._boots[gate] = peer.boot_id
            self._logins = {uid: login for uid, login in self._logins.items() if login.gate != gate}
        elif not peer.announced:
            self._unconfirmed[gate] = {uid: login for uid, login in self._logins.items() if login.gate == gate}
