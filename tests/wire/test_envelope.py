"""MessagePack-RPC messages: whole, in pieces, at every limit, and wrong in every way we know."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import tracemalloc
from collections.abc import Iterable
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firefly_core.errors import ProtocolError
from firefly_core.wire.envelope import STRANGER, TAINTED, Caps, Decoder, check_breadth, pack_plain, packer, peer_caps

PEER = peer_caps(1 << 20)
KEYS = st.one_of(st.text(max_size=4), st.integers(-(2**63), 2**64 - 1))
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False),
        st.text(max_size=8),
        st.binary(max_size=8),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=8,
)
PARAMS = st.lists(VALUES, max_size=3)
META = st.dictionaries(st.sampled_from(["trace", "session"]), st.text(max_size=4), max_size=2)
IDS = st.integers(0, 2**32 - 1)
METHODS = st.text(max_size=12)
MESSAGES = st.one_of(
    st.tuples(st.just(0), IDS, METHODS, PARAMS),
    st.tuples(st.just(0), IDS, METHODS, PARAMS, META),
    st.tuples(st.just(1), IDS, VALUES, VALUES),
    st.tuples(st.just(2), METHODS, PARAMS),
    st.tuples(st.just(2), METHODS, PARAMS, META),
)


def pack(value: Any) -> bytes:
    return bytes(packer().pack(value))


def whole(message: tuple[Any, ...]) -> list[Any]:
    """Give the message as the decoder gives it: with its map, or None in the place of one."""
    full = {0: 5, 1: 4, 2: 4}[message[0]]
    return [*message, *[None] * (full - len(message))]


def feed_until_refused(decoder: Decoder, pieces: Iterable[bytes]) -> int:
    """Feed pieces that never make a message; give how many bytes were taken before they were refused."""
    fed = 0
    with contextlib.suppress(ProtocolError):
        for piece in pieces:
            decoder.feed(piece)
            fed += len(piece)
            assert list(decoder.messages()) == []
        pytest.fail("an endless frame was taken")
    return fed


def decode(data: bytes, caps: Caps = PEER) -> list[list[Any]]:
    decoder = Decoder(caps)
    decoder.feed(data)
    return list(decoder.messages())


def reason(data: bytes, caps: Caps = PEER) -> str:
    with pytest.raises(ProtocolError) as caught:
        decode(data, caps)
    return caught.value.reason


@settings(max_examples=60, deadline=None)
@given(st.lists(MESSAGES, max_size=4))
def test_messages_come_out_as_they_went_in_however_they_are_split(messages: list[tuple[Any, ...]]) -> None:
    data = b"".join(pack(message) for message in messages)
    expected = [whole(message) for message in messages]
    for cut in range(len(data) + 1):
        decoder = Decoder(PEER)
        got = []
        for piece in (data[:cut], data[cut:]):
            decoder.feed(piece)
            got += list(decoder.messages())
        assert got == expected
        assert decoder.partial == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(MESSAGES, max_size=3))
def test_messages_arrive_byte_by_byte(messages: list[tuple[Any, ...]]) -> None:
    decoder = Decoder(PEER)
    got = []
    for byte in b"".join(pack(message) for message in messages):
        decoder.feed(bytes((byte,)))
        got += list(decoder.messages())
    assert got == [whole(message) for message in messages]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([PEER, STRANGER]))
def test_no_bytes_do_more_than_end_the_connection(data: bytes, caps: Caps) -> None:
    decoder = Decoder(caps)
    decoder.feed(data)
    with contextlib.suppress(ProtocolError):
        for message in decoder.messages():
            assert message[0] in (0, 1, 2)


@settings(max_examples=100, deadline=None)
@given(MESSAGES, st.data())
def test_one_changed_byte_does_no_more_than_end_the_connection(message: tuple[Any, ...], data: st.DataObject) -> None:
    raw = bytearray(pack(message) * 2)
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    decoder = Decoder(PEER)
    decoder.feed(bytes(raw))
    with contextlib.suppress(ProtocolError):
        assert len(list(decoder.messages())) <= len(raw)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_are_packed_to_the_same_bytes_by_either(value: Any) -> None:
    assert pack_plain(value) == packer().pack(value)


def test_messages_before_the_bad_bytes_are_given_first() -> None:
    decoder = Decoder(PEER)
    decoder.feed(pack((2, "a", [])) + pack((2, "b", [])) + b"\xc1")
    messages = decoder.messages()
    assert [next(messages)[1], next(messages)[1]] == ["a", "b"]
    with pytest.raises(ProtocolError):
        next(messages)


def test_an_iteration_that_was_left_is_taken_up_by_another() -> None:
    decoder = Decoder(PEER)
    decoder.feed(b"".join(pack((2, str(number), [])) for number in range(4)))
    first = decoder.messages()
    assert next(first)[1] == "0"
    assert next(decoder.messages())[1] == "1"
    assert [message[1] for message in decoder.messages()] == ["2", "3"]


def test_what_follows_in_the_same_piece_is_judged_by_the_new_caps() -> None:
    decoder = Decoder(STRANGER)
    decoder.feed(pack((0, 1, "hello", [])) + pack((0, 2, "x", [{5: 1}], {"deadline": 5})) + pack((2, "tail", [])))
    got = []
    for message in decoder.messages():
        got.append(message[1:3])
        if message[2] == "hello":
            decoder.trust(PEER)
    assert got == [[1, "hello"], [2, "x"], ["tail", []]]


@pytest.mark.parametrize("split", [0, 1, 30, 2000])
def test_a_frame_cut_by_the_change_of_caps_is_whole_afterwards(split: int) -> None:
    large = pack((2, "x", [b"y" * 5000]))
    decoder = Decoder(STRANGER)
    decoder.feed(pack((2, "hello", [])) + large[:split])
    got = []
    for message in decoder.messages():
        got.append(message[1])
        decoder.trust(PEER)
    decoder.feed(large[split:])
    got += [message[1] for message in decoder.messages()]
    assert got == ["hello", "x"]


# ------------------------------------------------------------------------------------------------------------ limits


def sized(size: int) -> bytes:
    """Give a notification of exactly `size` bytes."""
    frame = pack((2, "x", [b"y" * (size - 10)]))
    return pack((2, "x", [b"y" * (size - 10 - (len(frame) - size))]))


@pytest.mark.parametrize("caps", [STRANGER, PEER], ids=["stranger", "peer"])
@pytest.mark.parametrize("piece", [1000, 65_536])
def test_a_frame_of_the_largest_size_passes_and_one_byte_more_does_not(caps: Caps, piece: int) -> None:
    for extra, passes in ((0, True), (1, False)):
        data = sized(caps.frame + extra)
        assert len(data) == caps.frame + extra
        decoder = Decoder(caps)
        outcome = "incomplete"
        try:
            for begin in range(0, len(data), piece):
                decoder.feed(data[begin : begin + piece])
                if list(decoder.messages()):
                    outcome = "passed"
        except ProtocolError as error:
            outcome = error.reason
        assert outcome == "passed" if passes else outcome in ("too_long", "bad_msgpack")


@pytest.mark.parametrize("caps", [STRANGER, PEER], ids=["stranger", "peer"])
def test_an_endless_frame_is_refused_before_it_is_buffered(caps: Caps) -> None:
    decoder = Decoder(caps)
    decoder.feed(b"\x93\x02\xa1x\xdd" + (caps.array).to_bytes(4, "big"))
    fed = feed_until_refused(decoder, itertools.repeat(b"\xd9\x80" + b"z" * 128, 100_000))
    assert fed <= caps.frame + 200


def test_second_large_frame_in_a_row_is_measured_from_its_own_beginning() -> None:
    data = sized(PEER.frame) * 2
    decoder = Decoder(PEER)
    got = 0
    for begin in range(0, len(data), 65_536):
        decoder.feed(data[begin : begin + 65_536])
        got += len(list(decoder.messages()))
    assert got == 2


def test_breadth_is_checked_by_the_sender_too() -> None:
    broad = [0] * 65_537
    with pytest.raises(ValueError, match="65536"):
        check_breadth(([broad],), pack([broad]))
    check_breadth(([0] * 65_536,), pack([0] * 65_536))
    check_breadth({"a": {"b": "x" * 70_000}}, pack({"a": "x" * 70_000}))


# ----------------------------------------------------------------------------------------- malformed input, by number

GOOD = (0, 1, "m", [])
REQUEST_TAIL = b"\xa1m\x90"
SURROGATE = b"\xa3\xed\xa0\x80"
NOT_MESSAGEPACK_RPC = {
    "30 marshal": b"\x5b\xff\xff\xff\x7f",
    "31 pickle": pickle.dumps({"a": 1}, protocol=4),
    "31 old pickle": b"cos\nsystem\n(S'true'\ntR.",
    "HTTP": b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + pack(GOOD),
    "TLS": bytes.fromhex("1603010200010001fc0303") + os.urandom(32),
    "1 a length": bytes.fromhex("fffffffc"),
    "24 zeros": b"\0" * 65_536,
    "43 never used": b"\xc1",
    "a number": b"\x01",
    "a string": b"\xa3abc",
    "a map": b"\x80",
    "nil": b"\xc0",
    "an empty array": b"\x90",
    "a short request": pack((0, 1, "m")),
    "a long request": pack((0, 1, "m", [], {}, 1)),
    "a short response": pack((1, 1, None)),
    "a long response": pack((1, 1, None, None, None)),
    "a short notification": pack((2, "m")),
    "a long notification": pack((2, "m", [], {}, 1)),
    "kind 3": pack((3, 1, "m", [])),
    "kind -1": pack((-1, 1, "m", [])),
    "kind true": pack((True, 1, None, None)),
    "kind 0.0": pack((0.0, 1, "m", [])),
    "kind nil": pack((None, 1, "m", [])),
    "35 id negative": pack((0, -1, "m", [])),
    "35 id 2^32": pack((0, 2**32, "m", [])),
    "35 id 2^64-1": pack((0, 2**64 - 1, "m", [])),
    "35 id string": pack((0, "1", "m", [])),
    "35 id float": pack((0, 1.0, "m", [])),
    "35 id true": pack((0, True, "m", [])),
    "35 id nil": pack((0, None, "m", [])),
    "35 response id string": pack((1, "1", None, None)),
    "39 method number": pack((0, 1, 7, [])),
    "39 method bytes": pack((0, 1, b"m", [])),
    "39 method nil": pack((2, None, [])),
    "39 method of 64 KiB": pack((0, 1, "m" * 65_536, [])),
    "params a map": pack((0, 1, "m", {})),
    "params nil": pack((2, "m", None)),
    "extra not a map": pack((0, 1, "m", [], [])),
    "44 array of 2^32": b"\x94\x00\x01\xa1m\xdd\xff\xff\xff\xff",
    "45 map of 2^32": b"\x94\x00\x01\xa1m\xdf\xff\xff\xff\xff",
    "47 too deep": b"\x94\x00\x01\xa1m" + b"\x91" * 1025 + b"\xc0",
    "51 surrogate": b"\x94\x00\x01" + SURROGATE + b"\x90",
    "51 surrogate in params": b"\x94\x00\x01\xa1m\x91" + SURROGATE,
    "53 list key": b"\x94\x00\x01\xa1m\x91\x81\x90\x01",
    "53 map key": b"\x94\x00\x01\xa1m\x91\x81\x80\x01",
    "56 unknown extension": b"\x94\x00\x01\xa1m\x91\xd4\x05\x00",
    "56 empty extension": b"\x94\x00\x01\xa1m\x91\xc7\x00\x05",
    "57 timestamp": b"\x94\x00\x01\xa1m\x91\xd6\xff\x00\x00\x00\x00",
    "57 bad timestamp": b"\x94\x00\x01\xa1m\x91\xc7\x0c\xff" + b"\xff" * 12,
    "60 trailing data": pack(GOOD) + b"\x01\x02",
}


@pytest.mark.parametrize("data", NOT_MESSAGEPACK_RPC.values(), ids=NOT_MESSAGEPACK_RPC.keys())
@pytest.mark.parametrize("caps", [STRANGER, PEER], ids=["stranger", "peer"])
def test_what_is_not_messagepack_rpc_ends_the_connection(data: bytes, caps: Caps) -> None:
    assert reason(data, caps) in ("bad_msgpack", "bad_shape", "bad_id", "bad_method", "too_long")


@pytest.mark.parametrize(
    "data",
    [b"\xdb\xff\xff\xff\xffa", b"\xc6\x7f\xff\xff\xff", b"\xdb\x00\x10\x00\x01"],
    ids=["48 string of 2^32", "49 bytes of 2^31", "a string over the frame"],
)
@pytest.mark.parametrize("caps", [STRANGER, PEER], ids=["stranger", "peer"])
def test_an_announced_length_over_the_cap_never_grows_the_buffer(data: bytes, caps: Caps) -> None:
    decoder = Decoder(caps)
    decoder.feed(b"\x94\x00\x01\xa1m\x91" + data)
    fed = feed_until_refused(decoder, itertools.repeat(b"a" * 4096, 2 * (caps.frame + 65_536) // 4096))
    assert fed <= caps.frame + 4096


STRANGERS_MAY_NOT = {
    "the extra map of a request": pack((0, 1, "m", [], {})),
    "the extra map of a notification": pack((2, "m", [], {})),
    "52 integer keys": pack((0, 1, "m", [{1: 2}])),
    "nil keys": b"\x94\x00\x01\xa1m\x91\x81\xc0\x01",
    "an array of 129": pack((0, 1, "m", [[0] * 129])),
    "a map of 129": pack((0, 1, "m", [{str(number): 0 for number in range(129)}])),
    "a depth of 33": b"\x94\x00\x01\xa1m" + b"\x91" * 34 + b"\xc0",
    "a frame over 4 KiB": pack((0, 1, "m", [b"x" * 4096])),
    "62 many empty maps": b"\x94\x00\x01\xa1m\xdc\xff\xff" + b"\x80" * 65_535,
    "63 a broad map": b"\x94\x00\x01\xa1m\x91\xde\xff\xff",
}


@pytest.mark.parametrize("data", STRANGERS_MAY_NOT.values(), ids=STRANGERS_MAY_NOT.keys())
def test_a_stranger_may_send_less_than_a_peer(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data[:65_536], STRANGER)


PEERS_MAY = {
    "52 integer keys": [{1: 2, -5: 3}],
    "59 the largest integer": [2**64 - 1, -(2**63)],
    "64 odd strings": ["\0", "\u202e", "e\u0301\u0301", "\U0001f98b"],
    "58 infinity": [float("inf")],
    "a broad array": [[0] * 65_536],
    "62 many empty maps": [[{}] * 65_535],
    "63 a broad map": [dict.fromkeys(range(65535))],
}


@pytest.mark.parametrize("params", PEERS_MAY.values(), ids=PEERS_MAY.keys())
def test_a_peer_may_send_what_msgpack_can_say(params: list[Any]) -> None:
    assert decode(pack((0, 1, "m", params))) == [[0, 1, "m", params, None]]


def test_47_depth_1024_is_the_decoders_own_limit() -> None:
    ((_, _, _, params, _),) = decode(b"\x94\x00\x01\xa1m" + b"\x91" * 1023 + b"\xc0")
    depth = 0
    while params is not None:
        depth, params = depth + 1, params[0]
    assert depth == 1023


def test_54_of_a_repeated_key_the_last_wins() -> None:
    assert decode(b"\x94\x00\x01\xa1m\x91\x82\xa1a\x01\xa1a\x02") == [[0, 1, "m", [{"a": 2}], None]]


@pytest.mark.parametrize(
    "key", [b"\xc0", b"\xc3", b"\xc4\x01a", b"\xcb" + b"\0" * 8], ids=["nil", "true", "bin", "0.0"]
)
def test_a_peers_slip_with_a_maps_key_spoils_one_message_only(key: bytes) -> None:
    bad_map = b"\x81" + key + b"\x01"
    data = b"\x94\x00\x07\xa1m\x91" + bad_map + b"\x93\x02\xa1m\x91" + bad_map + b"\x94\x01\x07\xc0" + bad_map
    assert decode(data + pack(GOOD)) == [
        [0, 7, TAINTED, [], None],
        [2, TAINTED, [], None],
        [1, 7, ["bad_result", "map keys are strings or integers"], None],
        [*GOOD, None],
    ]


def test_a_strangers_nested_arrays_cost_little_memory() -> None:
    nested = b"\x94\x00\x01\xa1m" + b"\xdc\x00\x80" * 1300
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            decode(nested[:4096], STRANGER)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


def test_the_c_build_of_msgpack_is_in_use() -> None:
    assert type(packer()).__module__ == "msgpack._cmsgpack"


def test_the_decoder_does_not_make_tuples_or_bytes_of_strings() -> None:
    ((_, _, _, params, _),) = decode(msgpack.packb([0, 1, "m", [(1, 2), "text", b"bytes"]]))
    assert params == [[1, 2], "text", b"bytes"]
    assert [type(value) for value in params] == [list, str, bytes]
