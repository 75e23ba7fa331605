"""Providers: which peers can answer a call, and which of them is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from firefly_core.kernel.mesh.peer import Peer

__all__ = ["NOBODY", "ROOT_ROLE", "Providers", "choose", "rendezvous", "weight"]

ROOT_ROLE = "root"
NOBODY: frozenset[str] = frozenset()


class Providers:
    """The peers of a mesh by what they provide. `to` is a process's or a server's name; None: whoever."""

    def __init__(self, peers: Mapping[str, Peer]) -> None:
        self._peers = peers

    def known(self, name: str, to: str | None) -> list[Peer]:
        """Give who provides a remote, or has done so when last seen."""
        found = [peer for peer in self._peers.values() if name in peer.remotes]
        return found if to is None else [peer for peer in found if to in (peer.name, peer.server)]

    def connected(self, name: str, to: str | None) -> list[Peer]:
        """Give who can be asked now; those that drain only where nobody else is."""
        found = [peer for peer in self.known(name, to) if peer.connected]
        if len(found) < 2:
            return found
        return [peer for peer in found if not peer.draining] or found

    def roots(self, but: Collection[str]) -> list[Peer]:
        """Give the connected roots, which may know a provider that this server does not."""
        roots = (peer for peer in self._peers.values() if peer.connected and ROOT_ROLE in peer.roles)
        return [peer for peer in roots if peer.name not in but]


def choose(name: str, peers: Sequence[Peer], key: object) -> Peer:
    """Give the peer with the fewest calls in flight; with a key always the same one (rendezvous hashing)."""
    if len(peers) == 1:
        return peers[0]
    if key is None:
        return min(peers, key=lambda peer: (peer.calls, peer.name))
    return rendezvous(key, peers, name)


def rendezvous(key: object, peers: Iterable[Peer], salt: str = "") -> Peer:
    """Give the peer of a key: always the same one, and another only when that one is gone (rendezvous hashing)."""
    return max(peers, key=lambda peer: weight(key, peer.name, salt))


def weight(key: object, name: str, salt: str = "") -> bytes:
    """Give how much a name weighs for a key: of several the heaviest has it."""
    return hashlib.blake2b(f"{key}\0{name}\0{salt}".encode()).digest()
