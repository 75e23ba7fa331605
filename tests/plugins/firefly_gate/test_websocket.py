"""The frames of a WebSocket, against the RFC, and against a client that we did not write."""

import contextlib
import itertools
import struct
import sys
from random import Random

import pytest
from firefly_gate.websocket import WebSocketLayer, frame
from firefly_protocols.datapack import Datapack, DatapackConfig
from firefly_protocols.json_text import JsonConfig, JsonText
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from firefly_core.errors import ProtocolError
from firefly_core.kernel.config.config import read_alone
from firefly_core.wire.protocol import Limits, Request

ALIKE = settings(deadline=None, derandomize=True, database=None)
MASK = b"\x37\xfa\x21\x3d"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def masked(first: int, payload: bytes = b"", *, length: int | None = None, mask: bytes = MASK) -> bytes:
    """Write a client's frame by hand; `length` lies about the payload's."""
    size = len(payload) if length is None else length
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65536:
        head = struct.pack("!BBH", first, 0xFE, size)
    else:
        head = struct.pack("!BBQ", first, 0xFF, size)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def text(payload: str | bytes) -> bytes:
    return masked(0x80 | TEXT, payload.encode() if isinstance(payload, str) else payload)


def binary(payload: bytes) -> bytes:
    return masked(0x80 | BINARY, payload)


def opened(max_frame: int = 65536) -> tuple[ClientProtocol, WebSocketLayer]:
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"))
    client.send_request(client.connect())
    layer = WebSocketLayer(Limits(max_frame))
    assert layer.receive(b"".join(client.data_to_send())) == []
    client.receive_data(b"".join(layer.take_output()))
    client.events_received()
    assert client.state is State.OPEN
    assert layer.open
    return client, layer


def layer(max_frame: int = 65536) -> WebSocketLayer:
    return opened(max_frame)[1]


def sent(client: ClientProtocol) -> bytes:
    return b"".join(client.data_to_send())


def fault(data: bytes, max_frame: int = 65536) -> tuple[str, int]:
    """Give the reason and the close code with which a fresh layer answers `data`; a real client reads the answer."""
    client, ours = opened(max_frame)
    with pytest.raises(ProtocolError) as refused:
        ours.receive(data)
    client.receive_data(b"".join(ours.take_output()))
    assert client.close_rcvd is not None
    assert not ours.open
    return refused.value.reason, client.close_rcvd.code


# ---------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536])
def test_messages_of_every_length_arrive_both_ways(size):
    client, ours = opened()
    payload = Random(size).randbytes(size)
    client.send_binary(payload)
    client.send_text(b"x" * size)
    assert ours.receive(sent(client)) == [payload, b"x" * size]
    client.receive_data(ours.wrap(payload, False) + ours.wrap(b"y" * size, True))
    assert client.events_received() == [Frame(Opcode.BINARY, payload), Frame(Opcode.TEXT, b"y" * size)]


@ALIKE
@given(st.data())
def test_however_the_bytes_are_cut_the_same_messages_arrive(data):
    client, ours = opened()
    messages = data.draw(st.lists(st.tuples(st.booleans(), st.text(max_size=200)), max_size=5))
    for as_text, message in messages:
        cut = data.draw(st.integers(0, len(message)))
        if data.draw(st.booleans()):
            (client.send_text if as_text else client.send_binary)(message[:cut].encode(), fin=False)
            client.send_ping(b"between")
            client.send_continuation(message[cut:].encode(), fin=True)
        else:
            (client.send_text if as_text else client.send_binary)(message.encode())
    wire = sent(client)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=10)))
    pieces = [wire[start:end] for start, end in itertools.pairwise([0, *cuts, len(wire)])]
    assert [found for piece in pieces for found in ours.receive(piece)] == [m.encode() for _, m in messages]
    assert not ours.partial()


def test_the_handshake_and_frames_cut_at_every_offset_give_the_same_messages():
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"))
    client.send_request(client.connect())
    wire = sent(client) + text("Grüße") + masked(TEXT, b"a") + masked(0x80 | PING, b"p") + masked(0x80, b"b")
    wire += binary(b"x" * 300)
    for offset in range(len(wire) + 1):
        ours = WebSocketLayer(Limits(1024))
        found = ours.receive(wire[:offset]) + ours.receive(wire[offset:])
        assert found == ["Grüße".encode(), b"ab", b"x" * 300]
        assert ours.take_output()[-1] == b"\x8a\x01p"


def test_single_bytes_give_the_same_messages():
    ours = layer()
    wire = text("ab") + binary(b"") + text("c" * 200)
    found = [message for at in range(len(wire)) for message in ours.receive(wire[at : at + 1])]
    assert found == [b"ab", b"", b"c" * 200]


def test_ten_thousand_frames_in_one_piece_all_arrive():
    assert layer().receive(text("x") * 10_000) == [b"x"] * 10_000


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", MASK])
def test_every_mask_is_taken_off(mask):
    assert layer().receive(masked(0x82, b"hello there", mask=mask)) == [b"hello there"]


def test_a_length_written_longer_than_needed_is_understood():
    head = struct.pack("!BBQ", 0x82, 0xFF, 5)
    assert layer().receive(head + b"\0\0\0\0hello") == [b"hello"]


def test_partial_is_true_exactly_while_something_is_incomplete():
    ours = WebSocketLayer(Limits(1024))
    assert not ours.partial()
    assert ours.receive(b"") == []
    assert not ours.partial()
    ours.receive(b"GET")
    assert ours.partial()
    ours = layer()
    assert not ours.partial()
    wire = text("hello")
    for at in range(len(wire) - 1):
        ours.receive(wire[at : at + 1])
        assert ours.partial()
    ours.receive(wire[-1:])
    assert not ours.partial()
    ours.receive(masked(TEXT, b"a"))
    assert ours.partial()
    ours.receive(masked(0x80 | PING))
    assert ours.partial()
    ours.receive(masked(0x80, b"b"))
    assert not ours.partial()


# ------------------------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(b"hello", True), "unmasked"),
        (frame(b"x" * 200, False), "unmasked"),
        (b"\x89\x00", "unmasked"),
        *((masked(0x80 | bits | TEXT, b"x"), "reserved_bits") for bits in (0x10, 0x20, 0x40, 0x50, 0x60, 0x70)),
        (masked(0xC0 | PING), "reserved_bits"),
        *((masked(0x80 | opcode, b"x"), "bad_opcode") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        *((masked(opcode, b"x"), "bad_opcode") for opcode in (3, 7)),
        (masked(0x80 | PING, b"x" * 126), "bad_control"),
        (masked(0x80 | CLOSE, b"\x03\xe8" + b"x" * 124), "bad_control"),
        (masked(PING, b"x"), "bad_control"),
        (masked(PONG, b"x"), "bad_control"),
        (masked(CLOSE, b"\x03\xe8"), "bad_control"),
        (masked(0x80, b"x"), "bad_continuation"),
        (masked(0x00, b"x"), "bad_continuation"),
        (masked(TEXT, b"a") + text("b"), "bad_continuation"),
        (masked(BINARY, b"a") + masked(TEXT, b"b"), "bad_continuation"),
        (b"\x82\xff\x80" + bytes(7) + MASK, "bad_length"),
        (b"\x82\xff" + b"\xff" * 8 + MASK, "bad_length"),
    ],
)
def test_frames_that_the_rfc_forbids_end_the_connection_with_1002(data, reason):
    assert fault(data) == (reason, 1002)


def test_a_fault_is_found_in_the_first_two_bytes():
    for first, second in ((0xF1, 0x85), (0x81, 0x05), (0x83, 0x85), (0x89, 0xFE), (0x09, 0x80), (0x80, 0x81)):
        assert fault(bytes((first, second)))[1] == 1002


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\x80",
        b"ok\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80edited",
    ],
)
def test_text_that_is_not_utf8_ends_the_connection_with_1007(payload):
    assert fault(text(payload)) == ("bad_utf8", 1007)
    assert fault(text(payload + b"x" * 200)) == ("bad_utf8", 1007)
    for cut in range(len(payload) + 1):
        assert fault(masked(TEXT, payload[:cut]) + masked(0x80, payload[cut:])) == ("bad_utf8", 1007)
    assert layer().receive(binary(payload)) == [payload]


def test_bad_text_fails_before_the_message_is_complete():
    assert fault(masked(TEXT, b"good ") + masked(0, b"\xff")) == ("bad_utf8", 1007)


def test_a_character_may_be_cut_by_fragments():
    word = "κόσμε🔥".encode()
    for cut in range(len(word) + 1):
        assert layer().receive(masked(TEXT, word[:cut]) + masked(0x80, word[cut:])) == [word]
    ours = layer()
    singles = [masked(TEXT if at == 0 else 0, word[at : at + 1]) for at in range(len(word))]
    assert ours.receive(b"".join(singles) + masked(0x80)) == [word]


@pytest.mark.parametrize("length", [1025, 65535, 65536, 2**31, 2**63 - 1])
def test_a_message_over_the_limit_is_refused_by_its_header_with_1009(length):
    assert fault(masked(0x82, length=length), max_frame=1024) == ("too_long", 1009)


def test_a_message_as_long_as_the_limit_is_taken():
    assert layer(1024).receive(binary(b"x" * 1024)) == [b"x" * 1024]
    assert layer(100).receive(binary(b"x" * 100)) == [b"x" * 100]
    assert fault(binary(b"x" * 101), max_frame=100) == ("too_long", 1009)


def test_fragments_are_bounded_together_at_the_header_that_goes_over():
    first, more = masked(BINARY, b"x" * 600), masked(0, b"x" * 424)
    assert layer(1024).receive(first + more + masked(0x80)) == [b"x" * 1024]
    assert fault(first + more + masked(0x80, length=1), max_frame=1024) == ("too_long", 1009)
    assert fault(masked(TEXT, b"") * 1 + masked(0, b"x" * 1025), max_frame=1024) == ("too_long", 1009)


def test_a_million_empty_fragments_keep_nothing():
    ours = layer()
    ours.receive(masked(BINARY))
    piece = masked(0) * 1000
    for _ in range(100):
        assert ours.receive(piece) == []
    assert sys.getsizeof(ours.fragments) < 200
    assert ours.receive(masked(0x80, b"end")) == [b"end"]


def test_a_limit_that_is_raised_counts_from_the_next_frame_on():
    ours = layer(1024)
    ours.limits = Limits(4096)
    assert ours.receive(binary(b"x" * 4096)) == [b"x" * 4096]


def test_a_client_that_announces_the_longest_frame_and_stops_costs_nothing_yet():
    ours = layer(65536)
    ours.receive(masked(0x82, length=65536))
    assert sys.getsizeof(ours.tail) < 200


def test_a_fault_in_a_header_is_found_at_the_same_byte_however_it_is_cut():
    for header in (b"\x81\xff" + b"\xff" * 8, b"\x82\xfe\xff\xff", b"\x82\xff" + bytes(4) + b"\x00\x10\x00\x00"):
        for offset in range(len(header)):
            ours = layer(1024)
            assert ours.receive(header[:offset]) == []
            with pytest.raises(ProtocolError):
                ours.receive(header[offset:])


def test_messages_before_a_fault_are_given_first_and_can_be_answered():
    client, ours = opened()
    assert ours.receive(text("a") + binary(b"b") + b"\xff\xff") == [b"a", b"b"]
    assert ours.failure is not None
    assert ours.open
    client.receive_data(ours.wrap(b"answer", True) + ours.close_frame(1000, "not this one"))
    answer, _ = client.events_received()
    assert answer == Frame(Opcode.TEXT, b"answer")
    assert (client.close_rcvd.code, client.close_rcvd.reason) == (1002, "reserved_bits")
    with pytest.raises(ProtocolError) as refused:
        ours.receive(text("c"))
    assert refused.value is ours.failure
    assert ours.take_output() == []


def test_a_fault_behind_messages_is_answered_by_the_next_receive_too():
    client, ours = opened()
    assert ours.receive(text("a") + frame(b"unmasked", True)) == [b"a"]
    assert ours.output is None
    with pytest.raises(ProtocolError):
        ours.receive(b"")
    client.receive_data(b"".join(ours.take_output()))
    assert client.close_rcvd.code == 1002
    assert ours.close_frame(1000) == b""


@ALIKE
@given(st.lists(st.binary(max_size=80), max_size=6))
def test_no_bytes_do_anything_but_messages_or_an_orderly_end(pieces):
    client, ours = opened(256)
    try:
        for piece in pieces:
            assert all(type(message) is bytes and len(message) <= 256 for message in ours.receive(piece))
    except ProtocolError:
        assert not ours.open
    client.receive_data(b"".join(ours.take_output()))
    assert client.parser_exc is None


def test_a_mebibyte_of_noise_ends_the_connection_and_is_not_kept():
    for noise in (bytes(2**20), Random(1).randbytes(2**20)):
        ours = layer()
        with contextlib.suppress(ProtocolError):
            ours.receive(noise)
        assert ours.failure is not None
        assert not ours.partial()


# ------------------------------------------------------------------------------------------- ping, pong, close


def test_pings_are_answered_with_their_payload_in_order():
    client, ours = opened()
    payloads = [b"", b"a", b"x" * 125, *(b"%d" % number for number in range(7))]
    for payload in payloads:
        client.send_ping(payload)
    assert ours.receive(sent(client)) == []
    client.receive_data(b"".join(ours.take_output()))
    assert client.events_received() == [Frame(Opcode.PONG, payload) for payload in payloads]


def test_a_flood_of_pings_gets_few_pongs_and_the_last_one_its_own():
    ours = layer()
    assert ours.receive(b"".join(masked(0x80 | PING, b"%d" % number) for number in range(5000))) == []
    pongs = ours.take_output()
    assert len(pongs) <= 16
    assert pongs[-1] == b"\x8a\x044999"


def test_pongs_that_nobody_asked_for_are_ignored():
    assert layer().receive(masked(0x80 | PONG, b"x" * 125) + text("a")) == [b"a"]


def test_unanswered_pings_are_counted_until_a_pong_comes():
    client, ours = opened()
    client.receive_data(ours.ping(b"1") + ours.ping(b"2"))
    assert ours.unanswered == 2
    ours.receive(sent(client))
    assert ours.unanswered == 0


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 3999, 4999])
def test_a_close_is_answered_with_its_code(code):
    client, ours = opened()
    client.send_close(code, "bye")
    with pytest.raises(ProtocolError) as closed:
        ours.receive(sent(client))
    assert closed.value.reason == "closed"
    client.receive_data(b"".join(ours.take_output()))
    client.receive_eof()
    assert client.state is State.CLOSED
    assert client.close_rcvd.code == code
    assert not ours.open


def test_a_close_without_a_code_is_answered_without_one():
    ours = layer()
    with pytest.raises(ProtocolError):
        ours.receive(masked(0x80 | CLOSE))
    assert ours.take_output() == [b"\x88\x00"]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_a_close_with_a_code_that_may_not_stand_there_is_a_fault(code):
    assert fault(masked(0x80 | CLOSE, code.to_bytes(2, "big"))) == ("bad_close", 1002)


def test_a_close_of_one_byte_or_with_bad_text_is_a_fault():
    assert fault(masked(0x80 | CLOSE, b"\x03")) == ("bad_close", 1002)
    assert fault(masked(0x80 | CLOSE, b"\x03\xe8\xff")) == ("bad_utf8", 1007)


def test_a_close_in_the_middle_of_a_fragmented_message_is_orderly():
    client, ours = opened()
    client.send_text(b"begun", fin=False)
    client.send_close(1000)
    with pytest.raises(ProtocolError) as closed:
        ours.receive(sent(client))
    assert closed.value.reason == "closed"
    assert ours.take_output() == [b"\x88\x02\x03\xe8"]


def test_messages_before_a_close_are_answered_before_the_close_is():
    client, ours = opened()
    client.send_text(b"last")
    client.send_close(1000)
    assert ours.receive(sent(client)) == [b"last"]
    assert ours.failure is not None
    assert ours.failure.reason == "closed"
    client.receive_data(ours.wrap(b"answer", True) + ours.close_frame(1011, "unused"))
    assert client.events_received()[0] == Frame(Opcode.TEXT, b"answer")
    assert client.close_rcvd.code == 1000


def test_what_comes_behind_a_close_is_not_read():
    ours = layer()
    with pytest.raises(ProtocolError):
        ours.receive(masked(0x80 | CLOSE, b"\x03\xe8") + text("ignored") + b"\xff\xff")
    assert ours.failure.reason == "closed"


def test_our_close_is_given_once_and_ends_sending():
    client, ours = opened()
    client.receive_data(ours.close_frame(4000, "kicked"))
    assert (client.close_rcvd.code, client.close_rcvd.reason) == (4000, "kicked")
    assert (ours.open, ours.closing) == (False, True)
    for frame_ in (ours.close_frame(1000), ours.wrap(b"x", True), ours.ping()):
        assert frame_ == b""


def test_after_our_close_messages_are_dropped_until_the_clients_close():
    client, ours = opened()
    closing = ours.close_frame(1001)
    assert ours.receive(text("late") + masked(0x80 | PING, b"late")) == []
    assert ours.output is None
    client.receive_data(closing)
    with pytest.raises(ProtocolError) as closed:
        ours.receive(sent(client))
    assert closed.value.reason == "closed"
    assert ours.output is None


def test_a_long_reason_is_cut_between_characters():
    client, ours = opened()
    client.receive_data(ours.close_frame(4000, "ü" * 200))
    assert client.close_rcvd.reason == "ü" * 61


def test_nothing_is_sent_before_the_handshake_has_ended():
    ours = WebSocketLayer(Limits(1024))
    ours.receive(b"GET / HT")
    for nothing in (ours.wrap(b"x", True), ours.ping(), ours.close_frame(1000)):
        assert nothing == b""


def test_a_refused_handshake_is_answered_and_nothing_else_is():
    ours = WebSocketLayer(Limits(1024), origins=("http://127.0.0.1:8000",))
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"), origin="http://evil.example")
    client.send_request(client.connect())
    with pytest.raises(ProtocolError) as refused:
        ours.receive(sent(client) + text("x"))
    assert refused.value.reason == "bad_origin"
    client.receive_data(b"".join(ours.take_output()))
    assert client.handshake_exc.response.status_code == 403
    assert ours.close_frame(1000) == b""
    with pytest.raises(ProtocolError):
        ours.receive(b"")
    assert ours.output is None


def test_a_dripped_handshake_is_refused_at_eight_kibibytes():
    ours = WebSocketLayer(Limits(65536))
    for _ in range(8191):
        assert ours.receive(b"G") == []
    with pytest.raises(ProtocolError) as refused:
        ours.receive(b"G")
    assert refused.value.reason == "handshake_too_long"


# ----------------------------------------------------------------------------------------- beneath a protocol


def test_requests_of_several_messages_arrive_in_order():
    ours, protocol = layer(), JsonText(JsonConfig(), Limits(1024), stream=False)
    wire = text('{"cmd":1}') + text('{"cmd":"ping"}') + binary(b'{"cmd":2}')
    assert ours.carry(protocol, wire) == [Request(1, b"null"), Request(2, b"null")]
    assert protocol.output == [b'{"cmd":"pong"}']


def test_requests_before_a_bad_message_are_given_first():
    ours, protocol = layer(), JsonText(JsonConfig(), Limits(1024), stream=False)
    assert ours.carry(protocol, text('{"cmd":1}') + text("{") + text('{"cmd":2}')) == [Request(1, b"null")]
    assert protocol.failure.reason == "bad_json"
    with pytest.raises(ProtocolError):
        ours.carry(protocol, text('{"cmd":3}'))


def test_requests_before_a_close_or_a_bad_frame_are_given_first():
    for end, reason in ((masked(0x80 | CLOSE), "closed"), (b"\xff\xff", "reserved_bits")):
        ours, protocol = layer(), JsonText(JsonConfig(), Limits(1024), stream=False)
        assert ours.carry(protocol, text('{"cmd":1}') + end) == [Request(1, b"null")]
        assert protocol.failure.reason == reason
        assert ours.close_frame(1000)[0] == 0x88


def test_a_message_alone_that_is_bad_raises_at_once():
    ours, protocol = layer(), JsonText(JsonConfig(), Limits(1024), stream=False)
    with pytest.raises(ProtocolError):
        ours.carry(protocol, text("{"))


def test_binary_formats_travel_in_binary_messages():
    ours = layer()
    protocol = Datapack(read_alone(DatapackConfig), Limits(1024), stream=False)
    assert ours.carry(protocol, binary(struct.pack("!5B3I", 0, 0, 0, 0, 0, 0, 5, 203) + b"x")) == [Request(203, b"x")]


# ------------------------------------------------------------------------------------------------------ memory


def test_an_idle_connection_keeps_no_buffer():
    ours = layer()
    ours.receive(text("hello"))
    assert sys.getsizeof(ours) <= 200
    assert (ours.tail, ours.fragments, ours._decoder, ours.output) == (None, None, None, None)
