"""The mutual hello: who knows the secret gets in under its own name, and nobody else does."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from firefly_core.errors import ProtocolError
from firefly_core.wire.hello import Acceptor, Initiator, PeerIdentity, check_identity

SECRET, OLD, OTHER = b"n" * 32, b"o" * 32, b"x" * 32
NODE = PeerIdentity("world-2", "world", ("node",), 0x1122334455667788, 3)
ROOT = PeerIdentity("gate-1", "gate", ("gate", "root"), 2**64 - 1, 2**63 - 1)
NONCE_D, NONCE_A = b"d" * 32, b"a" * 32
Change = Callable[[list[Any]], Any]


def dialer(secrets: Any = (SECRET,), accept: Any = None, identity: PeerIdentity = NODE) -> Initiator:
    return Initiator(identity, secrets, NONCE_D, accept)


def root(secrets: Any = (SECRET,), accept: Any = None, nonce: bytes = NONCE_A) -> Acceptor:
    return Acceptor(ROOT, secrets, nonce, accept)


def wire(message: Any) -> Any:
    return msgpack.unpackb(msgpack.packb(message))


def keep(message: list[Any]) -> list[Any]:
    return message


def shake(initiator: Initiator, acceptor: Acceptor, *changes: Change) -> None:
    """Carry the four messages across, each changed by one of `changes` (in their order) on the way."""
    change = [*changes, *[keep] * (4 - len(changes))]
    answer = acceptor.answer(change[0](wire(initiator.opening())))
    proof = initiator.prove(change[1](wire(answer)))
    answer = acceptor.answer(change[2](wire(proof)))
    initiator.finish(change[3](wire(answer)))


def refused(initiator: Initiator, acceptor: Acceptor, *changes: Change) -> str:
    with pytest.raises(ProtocolError) as caught:
        shake(initiator, acceptor, *changes)
    return caught.value.reason


def test_both_learn_who_the_other_is() -> None:
    initiator, acceptor = dialer(), root()
    assert initiator.peer is acceptor.peer is None
    shake(initiator, acceptor)
    assert (initiator.peer, acceptor.peer) == (ROOT, NODE)


def test_the_proofs_are_what_the_documentation_says() -> None:
    initiator, acceptor = dialer(), root()
    cards = [
        ["world-2", "world", ["node"], 0x1122334455667788, 3],
        ["gate-1", "gate", ["gate", "root"], 2**64 - 1, 2**63 - 1],
    ]

    def proof(side: str) -> bytes:
        return hmac.new(
            SECRET, msgpack.packb(["firefly.hello", 1, side, NONCE_D, NONCE_A, *cards]), hashlib.sha256
        ).digest()

    assert initiator.opening() == [1, NONCE_D, cards[0]]
    assert acceptor.answer(wire(initiator.opening())) == [1, NONCE_A, cards[1]]
    assert initiator.prove(wire(acceptor.opening())) == [proof("dialer")]
    assert acceptor.answer([proof("dialer")]) == [proof("acceptor")]
    assert initiator.finish([proof("acceptor")]) == ROOT


def test_the_documented_bytes_are_the_bytes() -> None:
    text = (Path(__file__).parents[2] / "docs" / "channels.md").read_text()
    block = text.split("```")[1]
    documented = [bytes.fromhex("".join(part.split())[1:]) for part in re.split(r"\n(?=[<>])", block) if part.strip()]
    secret = b"correct horse battery staple"
    world = PeerIdentity("world-1", "world", ("node",), 0x0123456789ABCDEF, 1)
    gate = PeerIdentity("gate-1", "gate", ("root",), 0xFEDCBA9876543210, 4)
    initiator = Initiator(world, [secret], bytes(range(32)), None)
    acceptor = Acceptor(gate, [secret], bytes(range(32, 64)), None)
    first = [0, 0, "firefly.hello", initiator.opening()]
    second = [1, 0, None, acceptor.answer(wire(first[3]))]
    third = [0, 1, "firefly.hello", initiator.prove(wire(second[3]))]
    fourth = [1, 1, None, acceptor.answer(wire(third[3]))]
    call = [0, 17, "ranking.top", [3], {"deadline": 1500, "trace": "7d1f"}]
    answer = [1, 17, None, [["ada", 12]]]
    assert documented == [msgpack.packb(message) for message in (first, second, third, fourth, call, answer)]
    assert initiator.finish(wire(fourth[3])) == gate


@pytest.mark.parametrize(
    ("dials", "accepts"),
    [((SECRET,), (SECRET, OLD)), ((OLD,), (SECRET, OLD)), ((SECRET, OLD), (OLD, SECRET)), ((OLD, SECRET), (OLD,))],
)
def test_a_secret_is_changed_while_both_are_accepted(dials: tuple[bytes, ...], accepts: tuple[bytes, ...]) -> None:
    shake(dialer(dials), root(accepts))


@pytest.mark.parametrize(("dials", "accepts"), [((OTHER,), (SECRET, OLD)), ((OTHER, SECRET), (SECRET,))])
def test_without_the_secret_nobody_gets_in(dials: tuple[bytes, ...], accepts: tuple[bytes, ...]) -> None:
    acceptor = root(accepts)
    assert refused(dialer(dials), acceptor) == "wrong_proof"
    assert acceptor.peer is None


def test_the_acceptor_must_know_the_secret_too() -> None:
    initiator, acceptor = dialer(), root()
    acceptor.answer(wire(initiator.opening()))
    initiator.prove(wire(acceptor.opening()))
    with pytest.raises(ProtocolError, match="secret"):
        initiator.finish([hmac.new(OTHER, b"", hashlib.sha256).digest()])
    assert initiator.peer is None


def replace(index: int, value: Any) -> Change:
    return lambda message: [*message[:index], value, *message[index + 1 :]]


def card(index: int, value: Any) -> Change:
    return lambda message: [*message[:2], [*message[2][:index], value, *message[2][index + 1 :]]]


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("message", [0, 1], ids=["dialer", "acceptor"])
def test_everything_on_a_card_is_proved(message: int, index: int) -> None:
    other = ["world-9" if message == 0 else "gate-9", "world-2" if message == 0 else "gate-1", ["root"], 7, 9][index]
    changes = [keep] * message + [card(index, other)]
    assert refused(dialer(), root(), *changes) == "wrong_proof"


@pytest.mark.parametrize("message", [0, 1], ids=["dialer", "acceptor"])
def test_both_nonces_are_proved(message: int) -> None:
    assert refused(dialer(), root(), *[keep] * message, replace(1, b"z" * 32)) == "wrong_proof"


def test_28_proofs_of_every_wrong_length_are_refused() -> None:
    for size in (0, 1, 31, 33, 64):
        assert refused(dialer(), root(), keep, keep, lambda _, size=size: [b"m" * size]) == "wrong_proof"
        assert refused(dialer(), root(), keep, keep, keep, lambda _, size=size: [b"m" * size]) == "wrong_proof"


@pytest.mark.parametrize("bit", [0, 7, 128, 255])
def test_one_wrong_bit_is_enough(bit: int) -> None:
    def flip(message: list[Any]) -> list[Any]:
        proof = bytearray(message[0])
        proof[bit // 8] ^= 1 << bit % 8
        return [bytes(proof)]

    assert refused(dialer(), root(), keep, keep, flip) == "wrong_proof"
    assert refused(dialer(), root(), keep, keep, keep, flip) == "wrong_proof"


def test_32_a_hello_of_yesterday_opens_nothing() -> None:
    initiator, yesterday = dialer(), root()
    opening = wire(initiator.opening())
    proof = wire(initiator.prove(wire(yesterday.answer(opening))))
    yesterday.answer(proof)
    today = root(nonce=b"t" * 32)
    today.answer(opening)
    with pytest.raises(ProtocolError) as caught:
        today.answer(proof)
    assert caught.value.reason == "wrong_proof"


def test_a_proof_cannot_be_sent_back_where_it_came_from() -> None:
    initiator, acceptor = dialer(), root()
    acceptor.answer(wire(initiator.opening()))
    proof = initiator.prove(wire(acceptor.opening()))
    with pytest.raises(ProtocolError) as caught:
        initiator.finish(proof)
    assert caught.value.reason == "wrong_proof"


def test_an_echo_of_the_own_hello_is_noticed() -> None:
    initiator = dialer()
    with pytest.raises(ProtocolError) as caught:
        initiator.prove(initiator.opening())
    assert caught.value.reason == "reflected"
    with pytest.raises(ProtocolError) as caught:
        initiator.prove([1, b"z" * 32, initiator.opening()[2]])
    assert caught.value.reason == "reflected"


@pytest.mark.parametrize("version", [0, 2, 2**40, -1])
@pytest.mark.parametrize("message", [0, 1], ids=["dialer", "acceptor"])
def test_an_unknown_version_is_told_apart(message: int, version: int) -> None:
    assert refused(dialer(), root(), *[keep] * message, replace(0, version)) == "unknown_version"


BAD_NAMES = ["", "a" * 65, "n" * 256, "../x", "a\r\nb", "a\0", "a b", "-a", "_a", "é", "a.b", b"a", 7, None, "a\n"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
@pytest.mark.parametrize("message", [0, 1], ids=["dialer", "acceptor"])
def test_34_bad_names_are_refused(message: int, name: Any) -> None:
    for index, value in ((0, name), (1, name), (2, [name])):
        assert refused(dialer(), root(), *[keep] * message, card(index, value)) == "bad_name"


def test_a_process_bears_its_servers_name() -> None:
    assert refused(dialer(), root(), card(1, "worl")) == "bad_name"
    check_identity(PeerIdentity("world", "world", (), 0, 0))


@pytest.mark.parametrize(
    "opening",
    [
        None,
        [],
        {},
        "1",
        ["1"],
        [True, NONCE_D, []],
        [1],
        [1, NONCE_D],
        [1, "d" * 32, ["world-2", "world", [], 1, 1]],
        [1, b"", ["world-2", "world", [], 1, 1]],
        [1, b"d" * 31, ["world-2", "world", [], 1, 1]],
        [1, b"d" * 33, ["world-2", "world", [], 1, 1]],
        [1, NONCE_D, None],
        [1, NONCE_D, ["world-2", "world", [], 1]],
        [1, NONCE_D, ["world-2", "world", "node", 1, 1]],
        [1, NONCE_D, ["world-2", "world", ["node"] * 33, 1, 1]],
        [1, NONCE_D, ["world-2", "world", [], -1, 1]],
        [1, NONCE_D, ["world-2", "world", [], "1", 1]],
        [1, NONCE_D, ["world-2", "world", [], True, 1]],
        [1, NONCE_D, ["world-2", "world", [], 1, -1]],
        [1, NONCE_D, ["world-2", "world", [], 1, 2**63]],
        [1, NONCE_D, ["world-2", "world", [], 1, 1.0]],
        [1, NONCE_D, ["world-2", "world", [], 1, 1], 0],
    ],
    ids=repr,
)
def test_an_opening_of_another_shape_is_refused(opening: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        root().answer(opening)
    assert caught.value.reason == "bad_hello"


@pytest.mark.parametrize("proof", [None, [], {}, ["p" * 32], [b"p" * 32, 1], [None], b"p" * 32], ids=repr)
def test_a_proof_of_another_shape_is_refused(proof: Any) -> None:
    assert refused(dialer(), root(), keep, keep, lambda _: proof) == "bad_hello"
    assert refused(dialer(), root(), keep, keep, keep, lambda _: proof) == "bad_hello"


def test_27_a_second_hello_is_refused() -> None:
    acceptor = root()
    shake(dialer(), acceptor)
    with pytest.raises(ProtocolError) as caught:
        acceptor.answer(wire(dialer().opening()))
    assert caught.value.reason == "hello_twice"


def test_a_proof_before_the_opening_is_refused() -> None:
    with pytest.raises(ProtocolError):
        root().answer([b"p" * 32])
    with pytest.raises(ProtocolError):
        dialer().finish([b"p" * 32])


def test_who_has_proved_himself_may_be_refused_all_the_same() -> None:
    seen = []

    def judge(identity: PeerIdentity) -> str | None:
        seen.append(identity)
        return "old_epoch"

    acceptor = root(accept=judge)
    assert refused(dialer(), acceptor) == "old_epoch"
    assert (seen, acceptor.peer) == ([NODE], None)
    initiator = dialer(accept=judge)
    assert refused(initiator, root()) == "old_epoch"
    assert (seen, initiator.peer) == ([NODE, ROOT], None)


def test_nobody_is_judged_before_he_has_proved_himself() -> None:
    acceptor = root((OTHER,), accept=lambda _: pytest.fail("asked about an impostor"))
    assert refused(dialer(), acceptor) == "wrong_proof"


@pytest.mark.parametrize("secrets", [[], [b""], [b"short"], ["text" * 8], [SECRET, b"s"]], ids=repr)
def test_a_weak_secret_is_a_mistake_of_this_side(secrets: Any) -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        dialer(secrets)


def test_a_short_nonce_is_a_mistake_of_this_side() -> None:
    with pytest.raises(ValueError, match="nonce"):
        Initiator(NODE, [SECRET], b"short", None)
