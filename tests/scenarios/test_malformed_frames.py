"""Frames that are none, at every door of a house where others are served meanwhile (malformed inputs 1 to 25)."""

from __future__ import annotations

import json
import struct
from random import Random
from typing import Any

import msgpack
import pytest

from tests.scenarios.open_house import FIN, RST, OpenHouse

DOORS = ("datapack", "json", "msgpack", "pomelo", "ws", "root")
LARGEST = 65536
SHORT_HEADER = bytes(9)


def datapack(command: int, body: bytes) -> bytes:
    return struct.pack("!5B3I", 0, 0, 0, 0, 0, 0, len(body) + 4, command) + body


def json_line(command: Any, body: bytes) -> bytes:
    return b'{"id":1,"cmd":%b,"body":%b}\n' % (json.dumps(command).encode(), body)


def array(command: Any, body: bytes) -> bytes:
    whole = b"\x93\x01" + msgpack.packb(command) + msgpack.packb(json.loads(body))
    return struct.pack("!I", len(whole)) + whole


def package(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def pomelo(command: Any, body: bytes) -> bytes:
    route = b"echo" if command == 203 else b"nothing"
    opening = package(1, b"{}") + package(2, b"")
    return opening + package(4, bytes((0, 1, len(route))) + route + body)


def call(_command: Any, body: bytes) -> bytes:
    return bytes(msgpack.packb([0, 1, "work", [json.loads(body)]]))


FRAMES = {"datapack": datapack, "json": json_line, "msgpack": array, "pomelo": pomelo, "root": call}
REFUSED_AT_ONCE = {
    1: b"\xff\xff\xff\xfc",
    2: b"\xff\xff\xff\xff" + b"A" * 8,
    3: b"\x80\x00\x00\x00abc",
    5: b"\x7f\xff\xff\xff",
    7: SHORT_HEADER + b"\xff\xff\xff\xff\x00\x00\x00\x01",
    21: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    24: bytes(1 << 20),
    25: Random(1).randbytes(1 << 20),
}
REASONS = {
    "datapack": {"bad_magic", "too_long", "bad_length"},
    "json": {"bad_json"},
    "msgpack": {"too_long", "bad_length"},
    "pomelo": {"bad_type"},
    "ws": {"bad_handshake"},
    "root": {"bad_shape"},
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("number", REFUSED_AT_ONCE)
def test_what_no_format_has_is_refused_at_once(house: OpenHouse, number: int, door: str) -> None:
    visit = house.visit(door, REFUSED_AT_ONCE[number])
    assert visit.closed
    assert visit.seconds < 0.2
    assert len(visit.counted) == 1
    assert set(visit.counted) <= REASONS[door]
    assert visit.said[:13] == (b"HTTP/1.1 400 " if door == "ws" else b"")


@pytest.mark.parametrize("door", DOORS)
def test_6_a_byte_a_second_does_not_save_it(house: OpenHouse, door: str) -> None:
    visit = house.visit(door, b"\xff\xff\xff\xff", *[1.0, b"x"] * 3)
    assert visit.closed
    assert set(visit.counted) <= REASONS[door]


@pytest.mark.parametrize(
    ("door", "begun"),
    [
        ("datapack", datapack(203, bytes(100))[:20]),
        ("json", b'{"id":1,'),
        ("msgpack", b"\x00\x00\x00\x50\x93"),
        ("pomelo", b"\x01\x00\x00\x50{"),
        ("ws", b"GET / HTTP/1.1\r\n"),
    ],
)
def test_6_a_frame_that_comes_byte_by_byte_has_five_seconds_in_all(house: OpenHouse, door: str, begun: bytes) -> None:
    visit = house.visit(door, begun, *[1.0, b" "] * 7)
    assert visit.closed
    assert visit.counted == ["frame_timeout"]


LENGTHS: list[tuple[int, str, bytes]] = [
    (9, "datapack", SHORT_HEADER + b"\x00\x00\x00\x03\x00\x00\x00\x01"),
    (9, "msgpack", bytes(4)),
    (12, "datapack", datapack(203, bytes(LARGEST + 1))[:17]),
    (12, "json", b'{"id":1,"cmd":203,"body":"'.ljust(LARGEST + 1, b"x")),
    (12, "json", json_line(203, b'"%b"' % (b"x" * LARGEST))),
    (12, "msgpack", struct.pack("!I", LARGEST + 1)),
    (12, "pomelo", package(1, b"{}") + package(2, b"") + b"\x04\x01\x00\x01"),
    (12, "root", msgpack.packb([0, 1, "work", ["x" * 4096]])),
]


@pytest.mark.parametrize(("number", "door", "data"), LENGTHS)
def test_lengths_that_may_not_be_are_refused_at_once(house: OpenHouse, number: int, door: str, data: bytes) -> None:
    visit = house.visit(door, data)
    assert visit.closed
    assert visit.seconds < 0.2
    assert visit.counted == ["bad_length" if number == 9 else "too_long"]


@pytest.mark.parametrize(("door", "most"), [("datapack", LARGEST), ("json", LARGEST - 28), ("msgpack", LARGEST - 7)])
def test_11_the_longest_message_is_answered(house: OpenHouse, door: str, most: int) -> None:
    body = b'"%b"' % (b"x" * (most - 2))
    visit = house.visit(door, FRAMES[door](203, body))
    assert not visit.closed
    assert b"x" * (most - 2) in visit.said


def test_10_an_empty_body_is_null(house: OpenHouse) -> None:
    visit = house.visit("datapack", datapack(203, b""))
    assert not visit.closed
    assert visit.said == datapack(203, b"null")


@pytest.mark.parametrize("door", ["datapack", "json", "msgpack", "pomelo", "ws", "root"])
@pytest.mark.parametrize(("number", "end"), [(13, FIN), (14, RST)])
def test_13_14_whoever_hangs_up_in_a_frame_is_forgotten(house: OpenHouse, door: str, number: int, end: str) -> None:
    begun = b"GET / HT" if door == "ws" else FRAMES[door](203, b"12345")[: 16 if number == 13 else 17]
    visit = house.visit(door, begun, end)
    assert visit.closed
    assert visit.counted == ["end_of_stream" if end == FIN else "reset"]


@pytest.mark.parametrize("door", FRAMES)
def test_16_ten_thousand_frames_in_one_segment_are_all_answered(house: OpenHouse, door: str) -> None:
    one = FRAMES[door](203, b"1")
    if door == "pomelo":
        opening, one = one[:10], one[10:]
        visit = house.visit(door, opening + one * 10_000)
    else:
        visit = house.visit(door, one * 10_000)
    answers = {
        "datapack": visit.said.count(datapack(203, b"1")),
        "json": visit.said.count(b'{"id":1,"cmd":203,"body":1}\n'),
        "msgpack": visit.said.count(b"\x00\x00\x00\x05\x93\x01\xcc\xcb\x01"),
        "pomelo": visit.said.count(package(4, b"\x04\x011")),
        "root": visit.said.count(b"not_authorized"),
    }
    assert answers[door] == 10_000
    assert not house.executed


@pytest.mark.parametrize(
    ("door", "garbage", "reason"),
    [
        ("datapack", b"x", "bad_magic"),
        ("datapack", b"\0", "frame_timeout"),
        ("json", b"x", "bad_json"),
        ("msgpack", b"\0", "frame_timeout"),
        ("msgpack", b"x", "frame_timeout"),
        ("pomelo", b"x", "bad_type"),
        ("root", b"x", "bad_shape"),
    ],
)
def test_17_garbage_behind_a_frame_ends_the_connection(
    house: OpenHouse, door: str, garbage: bytes, reason: str
) -> None:
    visit = house.visit(door, FRAMES[door](203, b"1") + garbage)
    assert visit.closed
    assert visit.counted == [reason]
    # A root answers no stranger who breaks the protocol; a client's command before it is answered.
    assert (visit.said == b"") is (door == "root")


@pytest.mark.parametrize("at", range(5))
def test_18_another_header_is_refused(house: OpenHouse, at: int) -> None:
    data = bytearray(datapack(203, b"1"))
    data[at] = 9
    visit = house.visit("datapack", bytes(data))
    assert visit.closed
    assert visit.counted == ["bad_version" if at == 4 else "bad_magic"]


@pytest.mark.parametrize("command", [0, 0x7FFF_FFFF, 0xFFFF_FFFF, 4711])
@pytest.mark.parametrize("door", ["datapack", "json", "msgpack", "pomelo"])
def test_19_commands_that_are_none_are_answered(house: OpenHouse, door: str, command: int) -> None:
    visit = house.visit(door, FRAMES[door](command, b"1"))
    assert not visit.closed
    assert b"unknown_command" in visit.said


@pytest.mark.parametrize("door", FRAMES)
def test_22_plain_frames_at_the_tls_door_are_refused(house: OpenHouse, door: str) -> None:
    visit = house.visit("tls", FRAMES[door](203, b"1"))
    assert visit.closed
    # The first bytes of a call begin a hello of SSL 2.0, of which the rest is waited for.
    assert visit.counted == ["tls_timeout" if door == "root" else "no_tls"]
