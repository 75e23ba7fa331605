"""Handshakes and frames of WebSocket that break the rules, and TLS that is none (malformed inputs 65 to 78).

What TLS itself refuses (renegotiation, old versions, certificates) is tried in tests/channel/test_tls.py.
"""

from __future__ import annotations

import logging
import struct
import zlib
from typing import Any

import pytest

from tests.scenarios.open_house import FIN, OpenHouse

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEADERS = {"Host": "a", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY}
HEADERS |= {"Sec-WebSocket-Version": "13"}
OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate"}
TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
ECHO = b'{"id":1,"cmd":203,"body":7}'
ANSWER = b'{"id":1,"cmd":203,"body":7}'


def request(line: str = "GET / HTTP/1.1", more: bytes = b"", **changes: str | None) -> bytes:
    headers = HEADERS | {name.replace("_", "-"): value for name, value in changes.items()}
    text = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return f"{line}\r\n{text}".encode() + more + b"\r\n"


def frame(first: int, payload: bytes = b"", *, masked: bool = True, length: int | None = None) -> bytes:
    """Write a frame by hand, masked with nothing; `length` lies."""
    size = len(payload) if length is None else length
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    return head + (bytes(4) if masked else b"") + payload


def bomb(mebibytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(mebibytes))
    return data + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]


def close_code(said: bytes) -> int:
    """Give the code of the close frame that ends what was said."""
    at = said.rfind(b"\x88")
    return int.from_bytes(said[at + 2 : at + 4], "big")


FAULTS: list[tuple[int, bytes, str, int]] = [
    (65, frame(TEXT, ECHO, masked=False), "unmasked", 1002),
    *((66, frame(TEXT | bit, ECHO), "reserved_bits", 1002) for bit in (0x10, 0x20, 0x40, 0x70)),
    (68, frame(PING, bytes(126)), "bad_control", 1002),
    (68, frame(PING & 0x7F, b"x"), "bad_control", 1002),
    (68, frame(CLOSE & 0x7F, b"\x03\xe8"), "bad_control", 1002),
    (69, frame(0x82, length=1 << 63), "bad_length", 1002),
    (69, frame(0x82, length=(1 << 64) - 1), "bad_length", 1002),
    (69, frame(0x82, length=(1 << 63) - 1), "too_long", 1009),
    *((72, frame(CLOSE, struct.pack("!H", code)), "bad_close", 1002) for code in (1005, 1006, 999, 5000)),
    (72, frame(CLOSE, b"\x03"), "bad_close", 1002),
    (72, frame(CLOSE, b"\x03\xe8\xff"), "bad_utf8", 1007),
]


@pytest.mark.parametrize(("number", "data", "reason", "code"), FAULTS)
def test_frames_that_break_the_rules_end_the_connection(
    house: OpenHouse, number: int, data: bytes, reason: str, code: int
) -> None:
    visit = house.visit("ws", request() + frame(TEXT, ECHO) + data)
    assert visit.closed
    assert visit.counted == [reason], number
    assert ANSWER in visit.said
    assert close_code(visit.said) == code


def test_71_a_flood_of_pings_gets_few_pongs_and_costs_nobody_else(house: OpenHouse) -> None:
    visit = house.visit("ws", request() + frame(PING, b"?") * 10_000 + frame(TEXT, ECHO))
    assert not visit.closed
    assert visit.said.endswith(ANSWER)
    assert 0 < visit.said.count(b"\x8a\x01?") <= 10_000


def test_72_73_an_orderly_close_is_answered_even_in_the_middle_of_a_message(house: OpenHouse) -> None:
    for begun in (b"", frame(0x01, b"begun")):
        visit = house.visit("ws", request() + begun + frame(CLOSE, b"\x03\xe8"))
        assert visit.closed
        assert visit.counted == ["closed"]
        assert close_code(visit.said) == 1000


@pytest.mark.parametrize(
    ("door", "mebibytes", "reason", "code"),
    [("packed", 60, "too_long", 1009), ("packed", 256, "too_long", 1009), ("ws", 60, "reserved_bits", 1002)],
)
def test_74_a_bomb_is_refused(house: OpenHouse, door: str, mebibytes: int, reason: str, code: int) -> None:
    visit = house.visit(door, request(**OFFER) + frame(0xC1, bomb(mebibytes)))
    assert visit.closed
    assert visit.counted == [reason]
    assert close_code(visit.said) == code


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(X="x" * 9216), 431),
        (request(more=b"".join(b"X-%d: 1\r\n" % number for number in range(129))), 431),
        (request(Sec_WebSocket_Key=None), 400),
        (request(Sec_WebSocket_Key="c2hvcnQ="), 400),
        (request(Sec_WebSocket_Key="!" * 24), 400),
        (request(Sec_WebSocket_Version="12"), 400),
        (request(Sec_WebSocket_Version=None), 400),
        (request("POST / HTTP/1.1"), 405),
        (request("GET / HTTP/1.0"), 505),
        (request("GET /other HTTP/1.1"), 404),
        (request(Connection="keep-alive"), 426),
        (request(Upgrade="h2c"), 426),
        (request(Origin="http://evil.example"), 403),
        (request(Content_Length="5"), 400),
        (request(Transfer_Encoding="chunked"), 400),
        (request(more=b"no colon\r\n"), 400),
        (b"\x00" * 100, 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
def test_75_requests_that_open_nothing_are_answered(house: OpenHouse, data: bytes, status: int) -> None:
    visit = house.visit("ws", data)
    assert visit.closed
    assert visit.said.startswith(b"HTTP/1.1 %d " % status)
    [reason] = visit.counted
    assert reason in ("bad_handshake", "handshake_too_long", "bad_path", "bad_origin")


def test_77_a_token_in_the_query_is_ignored_and_stands_nowhere(house: OpenHouse, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    for line, opens in (("/? HTTP/1.1", True), ("/? HTTP/1.0", False), ("/other? HTTP/1.1", False)):
        head = request("GET " + line.replace("?", "?token=sesame"))
        visit = house.visit("ws", head + frame(TEXT, ECHO))
        assert (ANSWER in visit.said) is opens
        assert b"sesame" not in visit.said
    assert "sesame" not in caplog.text


@pytest.mark.parametrize("data", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_78_a_handshake_of_tls_has_five_seconds(house: OpenHouse, data: bytes) -> None:
    visit = house.visit("tls", *([data] if data else []), 1.0)
    assert visit.closed
    assert 4.5 <= visit.seconds <= 5.5
    assert visit.counted == ["tls_timeout"]


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x00\x00", b"\x15\x03\x01\x00\x02\x02\x28", b"\x80\x2e\x01\x03\x01"])
def test_78_what_is_no_handshake_of_tls_ends_at_once(house: OpenHouse, data: bytes) -> None:
    visit = house.visit("tls", data, FIN)
    assert visit.closed
    assert visit.seconds < 1
    assert visit.counted == ["no_tls"]
