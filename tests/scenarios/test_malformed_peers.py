"""Hellos, requests and answers that break the rules, from strangers and from peers (malformed inputs 26 to 42)."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from firefly_core.wire.hello import HELLO
from tests.scenarios.impostor import Impostor, identity, pack
from tests.scenarios.open_house import OpenHouse

MARSHAL = b"\x5b\xff\xff\xff\x7f"
PICKLES = [b"\x80\x04\x95\x1c" + bytes(7), b"cos\nsystem\n", pickle.dumps(print), pickle.dumps([1, {"a": 2}])]
CARD: list[Any] = ["spare-1", "spare", ["node"], 7, 1]


@contextmanager
def impostor(house: OpenHouse, **options: Any) -> Iterator[Impostor]:
    """Give a connection; afterwards the house is as it was."""
    before = list(house.executed)
    someone = Impostor(house, **options)
    yield someone
    someone.close()
    house.check()
    assert house.executed == before


@pytest.fixture
def stranger(house: OpenHouse) -> Iterator[Impostor]:
    with impostor(house) as someone:
        yield someone


@pytest.fixture
def peer(house: OpenHouse) -> Iterator[Impostor]:
    with impostor(house) as someone:
        yield someone.enter()


# ----------------------------------------------------------------------------------------------------- strangers


@pytest.mark.parametrize("method", ["work", "firefly.command", "firefly.session", "firefly.announce", "firefly.login"])
def test_26_a_call_before_the_hello_starts_nothing(stranger: Impostor, method: str) -> None:
    assert stranger.ask(0, 1, method, [1])[2][0] == "not_authorized"
    stranger.send(pack(2, method, [1]))
    assert [answer[1] for answer in stranger.heard] == [1]


def test_27_a_second_hello_ends_the_channel(peer: Impostor) -> None:
    assert peer.ask(0, 2, HELLO, [1, bytes(32), CARD])[2][0] == "hello_twice"
    assert peer.closed


def test_27_a_second_opening_is_no_proof(stranger: Impostor) -> None:
    stranger.open()
    assert stranger.ask(0, 1, HELLO, [1, bytes(32), CARD])[2] is not None
    assert stranger.closed


@pytest.mark.parametrize("length", [0, 31, 32, 33, 4000])
def test_28_a_proof_that_is_none_ends_the_channel(stranger: Impostor, length: int) -> None:
    assert stranger.prove(stranger.open(), bytes(length))[2][0] == "wrong_proof"
    assert stranger.closed


def test_28_a_proof_of_another_secret_ends_the_channel(house: OpenHouse) -> None:
    with impostor(house, secret=b"another secret of thirty-two byt") as other:
        assert other.prove(other.open())[2][0] == "wrong_proof"
        assert other.closed


@pytest.mark.parametrize("data", [MARSHAL, *PICKLES], ids=["marshal", "pickle 4", "cos system", "print", "values"])
@pytest.mark.parametrize("known", [False, True])
def test_30_31_nothing_is_unpickled(house: OpenHouse, data: bytes, known: bool) -> None:
    with impostor(house) as someone:
        if known:
            someone.enter()
        heard = len(someone.heard)
        someone.send(data + bytes(20))
        assert someone.closed
        assert all(each[0] == 2 for each in someone.heard[heard:])


def test_32_a_hello_of_yesterday_opens_nothing(house: OpenHouse) -> None:
    with impostor(house) as yesterday:
        yesterday.enter()
    with impostor(house) as today:
        today.send(yesterday.sent[0])
        today.send(yesterday.sent[1])
        assert today.heard[-1][2][0] == "wrong_proof"
        assert today.closed


@pytest.mark.parametrize(
    "card",
    [
        ["", "spare", ["node"], 7, 1],
        ["x" * 256, "x" * 256, ["node"], 7, 1],
        ["../x", "..", ["node"], 7, 1],
        ["a\r\nb", "a", ["node"], 7, 1],
        ["a\0b-1", "a\0b", ["node"], 7, 1],
        ["spare-1", "other", ["node"], 7, 1],
        ["spare-1", "spare", ["no de"], 7, 1],
        ["spare-1", "spare", ["node"] * 33, 7, 1],
        ["spare-1", "spare", ["node"], -1, 1],
        ["spare-1", "spare", ["node"], 7, -1],
        ["spare-1", "spare", ["node"], 7, 1.5],
        ["spare-1", "spare", ["node"], "7", 1],
        [7, "spare", ["node"], 7, 1],
        ["spare-1", "spare", "node", 7, 1],
        ["spare-1", "spare", ["node"], 7],
        "spare-1",
        None,
    ],
)
def test_34_a_card_that_breaks_the_rules_is_refused(stranger: Impostor, card: Any) -> None:
    answer = stranger.open(card if card is not None else [])
    assert answer[2][0] in ("bad_name", "bad_hello")
    assert stranger.closed


def test_34_an_older_epoch_of_a_name_is_refused(house: OpenHouse) -> None:
    with impostor(house, who=identity("world-1", "world", boot=99, epoch=0)) as older:
        assert older.prove(older.open())[2][0] == "old_epoch"
        assert older.closed


def test_34_the_name_of_the_root_itself_is_refused(house: OpenHouse) -> None:
    with impostor(house, who=identity("gate-1", "gate", boot=99, epoch=9)) as double:
        assert double.prove(double.open())[2][0] == "own_name"
        assert double.closed


# --------------------------------------------------------------------------------------------------------- peers


@pytest.mark.parametrize("number", [0, 1, 15, 2**32 - 1])
def test_35_every_unsigned_id_is_answered(peer: Impostor, number: int) -> None:
    assert peer.ask(0, number, "firefly.ping", []) == [1, number, None, None]
    assert not peer.closed


@pytest.mark.parametrize("number", [2**64 - 1, 2**32, -1, "1", 1.0, None, [1], True])
def test_35_ids_of_another_kind_end_the_channel(peer: Impostor, number: Any) -> None:
    peer.send(pack(0, number, "firefly.ping", []))
    assert peer.closed


def test_35_an_id_that_is_in_flight_ends_the_channel(peer: Impostor) -> None:
    peer.send(pack(0, 20, "rest", []) + pack(0, 20, "rest", []))
    assert peer.closed


def test_37_answers_to_nobody_are_ignored(peer: Impostor) -> None:
    peer.send(pack(1, 77, None, "x") * 2)
    peer.send(pack(1, 2**32, ["bad", "x"], None) + pack(1, -1, None, None))
    assert peer.ask(0, 20, "firefly.ping", []) == [1, 20, None, None]


@pytest.mark.parametrize("deadline", [0, -1])
def test_38_what_has_expired_is_not_started(peer: Impostor, deadline: int) -> None:
    assert peer.ask(0, 20, "rest", [], {"deadline": deadline})[2][0] == "timeout"


@pytest.mark.parametrize("deadline", [math.nan, math.inf, 1.5, "5", [5], True])
def test_38_deadlines_of_another_kind_end_the_channel(peer: Impostor, deadline: Any) -> None:
    peer.send(pack(0, 20, "rest", [], {"deadline": deadline}))
    assert peer.closed


def test_38_a_deadline_beyond_all_days_is_taken(peer: Impostor) -> None:
    assert peer.ask(0, 20, "firefly.ping", [], {"deadline": 2**63}) == [1, 20, None, None]


@pytest.mark.parametrize("method", ["__init__", "remote_x", "os.system", "", "..", "firefly.", "work\0", "x" * 256])
def test_39_methods_that_nobody_offers_are_answered(peer: Impostor, method: str) -> None:
    assert peer.ask(0, 20, method, [])[2][0] in ("no_such_method", "unavailable")
    assert not peer.closed


@pytest.mark.parametrize("method", ["x" * 257, "x" * 65536, 7, None, b"work", ["work"]])
def test_39_methods_that_are_no_names_end_the_channel(peer: Impostor, method: Any) -> None:
    peer.send(pack(0, 20, method, []))
    assert peer.closed


def test_41_a_flood_of_pings_is_answered(peer: Impostor) -> None:
    before = len(peer.heard)
    peer.send(b"".join(pack(0, number, "firefly.ping", []) for number in range(10_000)))
    assert [each[1] for each in peer.heard[before:] if each[0] == 1] == list(range(10_000))


def test_42_cancels_of_what_was_never_sent_are_ignored(peer: Impostor) -> None:
    peer.send(b"".join(pack(2, "firefly.cancel", [number]) for number in range(300)))
    assert peer.ask(0, 20, "firefly.ping", []) == [1, 20, None, None]


def test_42_a_flood_of_cancels_ends_the_channel(peer: Impostor) -> None:
    peer.send(b"".join(pack(2, "firefly.cancel", [number]) for number in range(600)))
    assert peer.closed


@pytest.mark.parametrize("params", [[], [1, 2], ["1"], [None], [-1.5], [[1]]])
def test_42_cancels_of_another_shape_end_the_channel(peer: Impostor, params: list[Any]) -> None:
    peer.send(pack(2, "firefly.cancel", params))
    assert peer.closed
