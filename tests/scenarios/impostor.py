"""Somebody who speaks MessagePack-RPC by hand to the root of an open house, with the secret of its peers or without."""

from __future__ import annotations

from random import Random
from typing import Any

import gevent
import msgpack

from firefly_core.testing.cluster import SECRET
from firefly_core.wire.hello import HELLO, Initiator, PeerIdentity
from tests.scenarios.open_house import OpenHouse, Stranger

__all__ = ["Impostor", "identity", "pack"]


def pack(*message: Any) -> bytes:
    """Give the bytes of one message."""
    return bytes(msgpack.packb(list(message)))


def identity(name: str = "spare-1", server: str = "spare", boot: int = 7, epoch: int = 1) -> PeerIdentity:
    """Give who a peer may say it is."""
    return PeerIdentity(name, server, ("node",), boot, epoch)


class Impostor:
    """One connection; `heard` are the messages that came."""

    def __init__(self, house: OpenHouse, *, who: PeerIdentity | None = None, secret: bytes = SECRET) -> None:
        self.sent: list[bytes] = []
        self._stranger = Stranger(house.dial("root"))
        # Each is a later process of the same name than the one before.
        who = who or identity(epoch=house.visits + 1)
        self._initiator = Initiator(who, [secret], Random(1).randbytes(32), None)

    @property
    def closed(self) -> bool:
        """Whether the root has hung up."""
        return self._stranger.visit.closed

    @property
    def said(self) -> bytes:
        """What the root has said, byte for byte."""
        return self._stranger.visit.said

    @property
    def heard(self) -> list[Any]:
        """Give the messages that came."""
        unpacker = msgpack.Unpacker()
        unpacker.feed(self.said)
        return list(unpacker)

    def send(self, data: bytes) -> None:
        """Send bytes, and let the root have its turn."""
        self.sent.append(data)
        self._stranger.send(data)
        gevent.sleep(0.05)

    def ask(self, *message: Any) -> Any:
        """Send a request, and give the answer to its id; None: there was none."""
        self.send(pack(*message))
        answers = [each for each in self.heard if each[0] == 1 and each[1] == message[1]]
        return answers[-1] if answers else None

    def open(self, card: list[Any] | None = None) -> Any:
        """Say the first half of the hello, with another card if wanted; give the answer."""
        opening = self._initiator.opening()
        return self.ask(0, 0, HELLO, opening if card is None else [*opening[:2], card])

    def prove(self, answer: Any, proof: bytes | None = None) -> Any:
        """Say the second half, with another proof if wanted; give the answer."""
        return self.ask(0, 1, HELLO, self._initiator.prove(answer[3]) if proof is None else [proof])

    def enter(self) -> Impostor:
        """Become a peer."""
        answer = self.prove(self.open())
        assert answer[2] is None, answer
        return self

    def close(self) -> None:
        """Hang up."""
        self._stranger.close()
        gevent.sleep(0.05)
