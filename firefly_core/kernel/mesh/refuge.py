"""The refuge: what is kept of sessions that can be resumed, beside the directory, in case their gate dies.

A gate hands in the state of each session that has a token, under the token's digest. When the client comes back through
another gate, that gate claims the state; a claim is good once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.mesh.peer import Peer
    from firefly_core.kernel.session import Uid

__all__ = ["Refuge"]

MOST = 100_000
"""Sessions that are kept; beyond that the oldest are let go."""


class Refuge:
    """Kept sessions by digest: as long as their gate lives, and after its death for the time they may be resumed."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._kept: dict[bytes, tuple[str, int, dict[str, Any]]] = {}
        self._players: dict[Uid, set[bytes]] = {}
        """The digests of each player's sessions: one, but for a moment where he has just logged in elsewhere."""
        mesh = kernel.mesh
        mesh.methods["firefly.keep"] = lambda peer, *rest: self.keep(peer.name, peer.boot_id, *rest)
        mesh.methods["firefly.forget"] = lambda _peer, digest: self.forget(digest)
        mesh.methods["firefly.claim"] = lambda _peer, digest: self.claim(digest)
        mesh.listeners.append(self._on_change)

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, gate: str, boot_id: int, digest: bytes, state: dict[str, Any]) -> None:
        """Keep a session's newest state; `timeout` in it says for how long after its gate's death."""
        self.claim(digest)
        self._kept[digest] = (gate, boot_id, state)
        self._players.setdefault(state["uid"], set()).add(digest)
        if len(self._kept) > MOST:
            self.claim(next(iter(self._kept)))

    def forget(self, digest: bytes) -> None:
        """Let a session go that has ended, or has another token."""
        self.claim(digest)

    def forget_player(self, uid: Uid) -> None:
        """Let a player's sessions go: he has logged in anew."""
        for digest in list(self._players.get(uid, ())):
            self.claim(digest)

    def claim(self, digest: bytes) -> dict[str, Any] | None:
        """Give a session's state, once; None: there is none."""
        found = self._kept.pop(digest, None)
        if found is None:
            return None
        state = found[2]
        digests = self._players[state["uid"]]
        digests.remove(digest)
        if not digests:
            del self._players[state["uid"]]
        return state

    def _on_change(self, peer: Peer, connected: bool) -> None:
        """Let the sessions of a gate that was lost go in time, unless it is back by then."""
        if connected:
            return
        boot_id = peer.boot_id
        of_gate = [
            (digest, state)
            for digest, (gate, boot, state) in self._kept.items()
            if (gate, boot) == (peer.name, boot_id)
        ]
        for timeout in {state["timeout"] for _, state in of_gate}:
            digests = [digest for digest, state in of_gate if state["timeout"] == timeout]
            self._kernel.deadlines.arm(timeout, partial(self._expire, peer, boot_id, digests))

    def _expire(self, peer: Peer, boot_id: int, digests: list[bytes]) -> None:
        if not peer.connected or peer.boot_id != boot_id:
            for digest in digests:
                self.claim(digest)
