"""MessagePack that is none, or too much, at every door where MessagePack is read (malformed inputs 43 to 64).

As a message of the `msgpack` format, as the body of a command, as the first bytes of a stranger at the root, and as the
argument of a call of a peer.
"""

from __future__ import annotations

import itertools
import math
import struct
from typing import Any

import attrs
import gevent
import msgpack
import pytest

from tests.scenarios.impostor import Impostor
from tests.scenarios.open_house import OpenHouse

CLOSED, REFUSED, TAKEN, WAITING = "closed", "refused", "taken", "waiting"
"""Waiting: a text of 4 GiB is begun; a frame's worth of it is kept before the connection ends, and no more."""


def nested(depth: int) -> bytes:
    return b"\x91" * depth + b"\xc0"


def many_keys(count: int) -> bytes:
    """Give a map of so many distinct keys of one to three characters."""
    words = (bytes(word) for length in (1, 2, 3) for word in itertools.product(range(33, 127), repeat=length))
    entries = b"".join(bytes((0xA0 | len(word),)) + word + b"\x01" for word in itertools.islice(words, count))
    return b"\xde" + struct.pack("!H", count) + entries


def many_maps(count: int) -> bytes:
    return b"\xdc" + struct.pack("!H", count) + b"\x80" * count


@attrs.frozen
class Input:
    """Bytes in the place of one value, and what becomes of them in a message, in a body, and in a peer's call."""

    number: int
    data: bytes
    message: str
    body: str
    call: str


INPUTS = [
    Input(43, b"\xc1", CLOSED, REFUSED, CLOSED),
    Input(44, b"\xdd\xff\xff\xff\xff", CLOSED, REFUSED, CLOSED),
    Input(45, b"\xdf\xff\xff\xff\xff", CLOSED, REFUSED, CLOSED),
    Input(47, nested(32), TAKEN, TAKEN, TAKEN),
    Input(47, nested(33), REFUSED, REFUSED, TAKEN),
    Input(47, nested(1024), CLOSED, REFUSED, CLOSED),
    Input(47, nested(1025), CLOSED, REFUSED, CLOSED),
    Input(48, b"\xdb\xff\xff\xff\xffa", CLOSED, REFUSED, WAITING),
    Input(49, b"\xc6\x7f\xff\xff\xff", CLOSED, REFUSED, WAITING),
    Input(51, b"\xa3\xed\xa0\x80", REFUSED, REFUSED, CLOSED),
    Input(52, b"\x81\x01\x02", REFUSED, REFUSED, TAKEN),
    Input(53, b"\x81\x90\x01", REFUSED, REFUSED, CLOSED),
    Input(54, b"\x82\xa1a\x01\xa1a\x02", TAKEN, TAKEN, TAKEN),
    Input(56, b"\xd4\x05\x00", REFUSED, REFUSED, CLOSED),
    Input(57, b"\xc7\x0c\xff" + b"\xff" * 12, REFUSED, REFUSED, CLOSED),
    Input(58, msgpack.packb(math.nan), REFUSED, REFUSED, TAKEN),
    Input(58, msgpack.packb(math.inf), REFUSED, REFUSED, TAKEN),
    Input(59, b"\xcf" + b"\xff" * 8, TAKEN, TAKEN, TAKEN),
    Input(60, b"\x01\x02", CLOSED, REFUSED, CLOSED),
    Input(62, many_maps(60_000), REFUSED, REFUSED, TAKEN),
    Input(62, many_maps(65_535), CLOSED, CLOSED, TAKEN),
    Input(63, many_keys(12_000), REFUSED, REFUSED, TAKEN),
    Input(63, many_keys(65_535), CLOSED, CLOSED, TAKEN),
    Input(64, msgpack.packb("a\0b\u202ec\u0301\U0001f525"), TAKEN, TAKEN, TAKEN),
]


def name(given: Any) -> str:
    return f"{given.number}-{given.data[:6].hex()}-{len(given.data)}" if isinstance(given, Input) else str(given)


def outcome(closed: bool, said: bytes, value: bytes) -> str:
    """Say what became of a command: the connection, an error, or its value."""
    if closed:
        return CLOSED
    return REFUSED if b"bad_request" in said else TAKEN if value in said else WAITING


def last_key(data: bytes) -> bytes:
    """Give how a value comes back: of two equal keys the last one's."""
    return b"\x81\xa1a\x02" if data[:1] == b"\x82" else data


@pytest.mark.parametrize("given", INPUTS, ids=name)
def test_in_a_message(house: OpenHouse, given: Input) -> None:
    array = b"\x93\x01\xcc\xcb" + given.data
    visit = house.visit("msgpack", struct.pack("!I", len(array)) + array)
    assert outcome(visit.closed, visit.said, last_key(given.data)) == given.message
    assert not visit.closed or visit.counted in (["bad_msgpack"], ["too_long"])


@pytest.mark.parametrize("given", INPUTS, ids=name)
def test_in_a_body(house: OpenHouse, given: Input) -> None:
    header = struct.pack("!5B3I", 0, 0, 0, 0, 0, 0, len(given.data) + 4, 203)
    visit = house.visit("bodies", header + given.data)
    assert outcome(visit.closed, visit.said, last_key(given.data)) == given.body
    assert not visit.closed or visit.counted == ["too_long"]


@pytest.mark.parametrize("given", INPUTS, ids=name)
def test_of_a_stranger_at_the_root(house: OpenHouse, given: Input) -> None:
    visit = house.visit("root", given.data)
    assert visit.closed
    assert visit.said == b""
    assert visit.counted in (["bad_msgpack"], ["bad_shape"], ["too_long"], ["hello_timeout"])


@pytest.mark.parametrize("given", INPUTS, ids=name)
def test_in_the_call_of_a_peer(house: OpenHouse, given: Input) -> None:
    peer = Impostor(house).enter()
    before = len(peer.said)
    peer.send(b"\x94\x00\x14\xa4work\x91" + given.data)
    gevent.sleep(0.3)
    assert outcome(peer.closed, peer.said[before:], last_key(given.data)) == given.call
    if given.call != TAKEN:
        # Of 60 the first half is a whole call.
        assert house.executed == ([1] if given.number == 60 else [])
    house.executed.clear()
    if given.call == WAITING:
        for _ in range(20):
            peer.send(bytes(60_000))
        assert peer.closed
    peer.close()
    house.check()
