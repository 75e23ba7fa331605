"""The refuge: what is kept of sessions that can be resumed, beside the directory, in case their gate dies.

A gate hands in the state of each session that has a token, under the token's digest. When the client comes back through
another gate, that gate claims the state. A claim is good once; one with a `former` is good again under that, until the
player has logged in by it, because its answer may be lost on either way.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.mesh.peer import Peer
    from firefly_core.kernel.session import Uid

__all__ = ["Refuge"]

Kept = tuple[str, int, dict[str, Any]]
"""The gate of a session, that process's boot id, and the session's state."""
CLAIMED = b"claimed "
"""Before the digest of a state that was claimed by its token alone, and can be claimed no more."""
MOST = 100_000
"""Sessions that are kept; beyond that the oldest are let go."""


class Refuge:
    """Kept sessions by digest: as long as their gate lives, and after its death for the time they may be resumed."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._kept: dict[bytes, Kept] = {}
        self._unconfirmed: dict[str, dict[bytes, Kept]] = {}
        """By gate: what was kept when its channel was lost; it may have been let go meanwhile."""
        self._aside: dict[bytes, bytes] = {}
        """Under what states lie that were claimed and whose player has not logged in by them yet, by their digests."""
        self._players: dict[Uid, set[bytes]] = {}
        """The digests of each player's sessions: one, but for a moment where he has just logged in elsewhere."""
        mesh = kernel.mesh
        mesh.methods["firefly.keep"] = self._on_keep
        mesh.methods["firefly.forget"] = lambda _peer, digest: self.forget(digest)
        mesh.methods["firefly.claim"] = lambda _peer, *rest: self.claim(*rest)
        mesh.methods["firefly.unclaim"] = lambda peer, *rest: self.unclaim(peer.name, peer.boot_id, *rest)
        mesh.listeners.append(self._on_change)

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, gate: str, boot_id: int, digest: bytes, state: dict[str, Any]) -> None:
        """Keep a session's newest state; `timeout` in it says for how long after its gate's death."""
        self._take(digest)
        self._put(digest, (gate, boot_id, state))
        if len(self._kept) > MOST:
            self._take(next(iter(self._kept)))

    def forget(self, digest: bytes) -> None:
        """Let a session go that has ended, or has another token."""
        self._take(digest)
        self._take(self._aside.pop(digest, digest))

    def forget_player(self, uid: Uid) -> None:
        """Let a player's sessions go: he has logged in anew."""
        for digest in list(self._players.get(uid, ())):
            self._take(digest)

    def claim(self, digest: bytes, former: bytes = b"") -> dict[str, Any] | None:
        """Give a session's state, once, and once more by `former`, where that is not empty; None: there is none."""
        found = self._take(digest)
        if found is None and former:
            found = self._take(former)
        if found is None:
            return None
        aside = self._aside[digest] = former or CLAIMED + digest
        self._put(aside, found)
        self._kernel.deadlines.arm(found[2]["timeout"], partial(self._restore, digest, aside, found))
        return found[2]

    def unclaim(self, gate: str, boot_id: int, digest: bytes, state: dict[str, Any]) -> None:
        """Take a state back whose claim has led to nothing; where its own gate is gone it is kept for a while."""
        kept = self._take(self._aside.pop(digest, digest)) or (gate, boot_id, state)
        self._put(digest, kept)
        if kept[0] == gate or not self._lives(kept):
            self._kernel.deadlines.arm(state["timeout"], partial(self._let_go, digest, kept))

    def _on_keep(self, peer: Peer, states: list[tuple[bytes, dict[str, Any]]]) -> None:
        for digest, state in states:
            self.keep(peer.name, peer.boot_id, digest, state)

    def _put(self, digest: bytes, kept: Kept) -> None:
        self._kept[digest] = kept
        self._players.setdefault(kept[2]["uid"], set()).add(digest)

    def _take(self, digest: bytes) -> Kept | None:
        found = self._kept.pop(digest, None)
        if found is not None:
            uid = found[2]["uid"]
            digests = self._players[uid]
            digests.remove(digest)
            if not digests:
                del self._players[uid]
        return found

    def _let_go(self, digest: bytes, kept: Kept) -> None:
        """Let a state go that nobody has kept anew."""
        if self._kept.get(digest) is kept:
            self._take(digest)

    def _restore(self, digest: bytes, aside: bytes, kept: Kept) -> None:
        """Let a claim go that has led to nothing; the session itself, if it lives, has still the same token."""
        if self._kept.get(aside) is kept:
            self._take(aside)
            if self._lives(kept) and digest in self._aside:
                self._put(digest, kept)
        self._aside.pop(digest, None)

    def _lives(self, kept: Kept) -> bool:
        """Whether the gate whose state it is has not ended."""
        gate, boot_id, _ = kept
        peer = self._kernel.mesh.peers.get(gate)
        mine = gate == self._kernel.name and boot_id == self._kernel.boot_id
        return mine or (peer is not None and peer.connected and peer.boot_id == boot_id)

    def confirm(self, gate: str) -> None:
        """Let go what a gate that is back has not kept anew: those sessions have ended, or have another token."""
        for digest, kept in self._unconfirmed.pop(gate, {}).items():
            if self._kept.get(digest) is kept:
                self._take(digest)

    def _on_change(self, peer: Peer, connected: bool) -> None:
        """Let the sessions of a gate that was lost go in time, unless it is back by then."""
        if connected:
            if not peer.announced:
                mine = peer.name, peer.boot_id
                self._unconfirmed[peer.name] = {digest: kept for digest, kept in self._kept.items() if kept[:2] == mine}
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
                self._take(digest)
