"""The hello of two Firefly peers: each proves that it knows the secret, and says who it is.

    dialer -> acceptor   request "firefly.hello" [1, dialer's nonce, dialer's card]
    acceptor -> dialer   result                  [1, acceptor's nonce, acceptor's card]
    dialer -> acceptor   request "firefly.hello" [dialer's proof]
    acceptor -> dialer   result                  [acceptor's proof]

A card is `[name, server, roles, boot id, epoch]`. A proof is HMAC-SHA256, keyed by the secret, over the MessagePack of
`["firefly.hello", 1, side, dialer's nonce, acceptor's nonce, dialer's card, acceptor's card]`, where side is "dialer"
or "acceptor": it holds for this connection and this direction only. The acceptor proves nothing to who has not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgpack

from firefly_core.errors import ProtocolError

__all__ = ["HELLO", "NONCE_SIZE", "VERSION", "Acceptor", "Initiator", "PeerIdentity", "check_identity"]

HELLO = "firefly.hello"
VERSION = 1
NONCE_SIZE = 32
PROOF_SIZE = 32
MIN_SECRET = 16
MAX_ROLES = 32
MAX_BOOT_ID = (1 << 64) - 1
MAX_EPOCH = (1 << 63) - 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class PeerIdentity(NamedTuple):
    """Who is at one end of a channel. `boot_id` is 64 random bits of each start; a newer `epoch` replaces an older."""

    name: str
    server: str
    roles: tuple[str, ...]
    boot_id: int
    epoch: int


Accept = Callable[[PeerIdentity], str | None]
"""Decides about a peer that has proved itself: None to take it, or the word that it is refused with."""


def check_identity(identity: PeerIdentity) -> None:
    """Raise ProtocolError where a peer's card breaks the rules.

    Names have 1 to 64 letters, digits, `-` and `_`, not beginning with either; a process is named after its server.
    """
    name, server, roles, boot_id, epoch = identity
    for word in (name, server, *roles):
        if type(word) is not str or NAME.fullmatch(word) is None:
            raise ProtocolError("bad_name", "a name has 1 to 64 letters, digits, '-' and '_'")
    if name != server and not name.startswith(f"{server}-"):
        raise ProtocolError("bad_name", "a process is named after its server")
    if len(roles) > MAX_ROLES:
        raise ProtocolError("bad_hello", f"over {MAX_ROLES} roles")
    if type(boot_id) is not int or not 0 <= boot_id <= MAX_BOOT_ID:
        raise ProtocolError("bad_hello", "a boot id has 64 bits")
    if type(epoch) is not int or not 0 <= epoch <= MAX_EPOCH:
        raise ProtocolError("bad_hello", "an epoch is a count")


def _card(identity: PeerIdentity) -> list[Any]:
    return [identity.name, identity.server, list(identity.roles), identity.boot_id, identity.epoch]


def _identity(card: Any) -> PeerIdentity:
    if type(card) is not list or len(card) != 5 or type(card[2]) is not list:
        raise ProtocolError("bad_hello", "a card is [name, server, roles, boot id, epoch]")
    name, server, roles, boot_id, epoch = card
    identity = PeerIdentity(name, server, tuple(roles), boot_id, epoch)
    check_identity(identity)
    return identity


def _opening(message: Any) -> tuple[bytes, PeerIdentity]:
    """Check `[version, nonce, card]`."""
    if type(message) is not list or not message or type(message[0]) is not int:
        raise ProtocolError("bad_hello", "a hello is [version, nonce, card]")
    if message[0] != VERSION:
        raise ProtocolError("unknown_version", f"this side speaks version {VERSION} of the channel protocol")
    if len(message) != 3 or type(message[1]) is not bytes or len(message[1]) != NONCE_SIZE:
        raise ProtocolError("bad_hello", f"a nonce has {NONCE_SIZE} bytes")
    return message[1], _identity(message[2])


def _proof_in(message: Any) -> bytes:
    """Check `[proof]`."""
    if type(message) is not list or len(message) != 1 or type(message[0]) is not bytes:
        raise ProtocolError("bad_hello", "the second hello is [proof]")
    if len(message[0]) != PROOF_SIZE:
        raise ProtocolError("wrong_proof", f"a proof has {PROOF_SIZE} bytes")
    return bytes(message[0])


class _Side:
    """What both sides keep: the own card, the secrets, the nonces, and who the other one claims to be."""

    def __init__(self, identity: PeerIdentity, secrets: Sequence[bytes], nonce: bytes, accept: Accept | None) -> None:
        check_identity(identity)
        if not secrets or not all(type(secret) is bytes and len(secret) >= MIN_SECRET for secret in secrets):
            raise ValueError(f"a secret has at least {MIN_SECRET} bytes")
        if len(nonce) != NONCE_SIZE:
            raise ValueError(f"a nonce has {NONCE_SIZE} bytes")
        self._own = identity
        self._secrets = tuple(secrets)
        self._nonce = nonce
        self._accept = accept
        self._other_nonce = b""
        self._claimed: PeerIdentity | None = None
        self.peer: PeerIdentity | None = None
        """Who the other one has proved to be; None until then."""

    def opening(self) -> list[Any]:
        """Give this side's first message: version, nonce, card."""
        return [VERSION, self._nonce, _card(self._own)]

    def _hear(self, message: Any) -> PeerIdentity:
        nonce, claimed = _opening(message)
        if hmac.compare_digest(nonce, self._nonce) or claimed[:4] == self._own[:4]:
            raise ProtocolError("reflected", "this is an echo of the own hello")
        self._other_nonce = nonce
        self._claimed = claimed
        return claimed

    def _judge(self) -> PeerIdentity:
        claimed = self._claimed
        assert claimed is not None
        refusal = self._accept(claimed) if self._accept is not None else None
        if refusal is not None:
            raise ProtocolError(refusal, f"{claimed.name} is refused")
        self.peer = claimed
        return claimed


def _proof(secret: bytes, side: str, nonces: tuple[bytes, bytes], cards: tuple[PeerIdentity, PeerIdentity]) -> bytes:
    """Make the proof of `side`; the dialer's nonce and card come first, whoever computes."""
    words = [HELLO, VERSION, side, *nonces, _card(cards[0]), _card(cards[1])]
    return hmac.new(secret, msgpack.packb(words, use_bin_type=True), hashlib.sha256).digest()


class Initiator(_Side):
    """The dialer's side: send `opening()`, then what `prove` gives, then `finish`. It signs with the first secret.

    Each method raises ProtocolError when the answer is not that of a peer; the connection is closed then.
    """

    def prove(self, answer: Any) -> list[Any]:
        """Take the acceptor's opening; give the params of the second request."""
        self._hear(answer)
        return [self._make("dialer")]

    def finish(self, answer: Any) -> PeerIdentity:
        """Take the acceptor's proof; give who it is."""
        if self._claimed is None:
            raise ProtocolError("bad_hello", "a proof before the opening")
        if not hmac.compare_digest(_proof_in(answer), self._make("acceptor")):
            raise ProtocolError("wrong_proof", "the other side does not know the secret")
        return self._judge()

    def _make(self, side: str) -> bytes:
        assert self._claimed is not None
        nonces = (self._nonce, self._other_nonce)
        return _proof(self._secrets[0], side, nonces, (self._own, self._claimed))


class Acceptor(_Side):
    """The accepting side: answer each hello request with what `answer` gives.

    It accepts a proof made with any of its secrets, and proves itself with that same one: to change the secret, give
    every server the new one as its second, then make it the first, then drop the old.
    """

    def answer(self, params: Any) -> list[Any]:
        """Take a hello request's params; give the result. Raises ProtocolError: say why, and close."""
        if self.peer is not None:
            raise ProtocolError("hello_twice", "this channel has had its hello")
        if self._claimed is None:
            self._hear(params)
            return self.opening()
        proof = _proof_in(params)
        nonces, cards = (self._other_nonce, self._nonce), (self._claimed, self._own)
        for secret in self._secrets:
            if hmac.compare_digest(proof, _proof(secret, "dialer", nonces, cards)):
                self._judge()
                return [_proof(secret, "acceptor", nonces, cards)]
        raise ProtocolError("wrong_proof", "the other side does not know the secret")
