"""Compressed messages, against RFC 7692, and against a client that we did not write."""

import itertools
import struct
import sys
import tracemalloc
import zlib
from random import Random

import pytest
from firefly_gate.deflate_layer import SHORTEST, DeflateLayer, deflate
from firefly_gate.websocket import WebSocketLayer
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from firefly_core.errors import ProtocolError
from firefly_core.wire.protocol import Limits

ALIKE = settings(deadline=None, derandomize=True, database=None)
TEXT, BINARY, PING = 1, 2, 9
FINAL, PACKED = 0x80, 0x40
KIB = 1024


def opened(max_frame=65536, *, layer=DeflateLayer, **offer):
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"), extensions=[ClientPerMessageDeflateFactory(**offer)])
    client.send_request(client.connect())
    ours = layer(Limits(max_frame))
    assert ours.receive(b"".join(client.data_to_send())) == []
    client.receive_data(b"".join(ours.take_output()))
    client.events_received()
    assert client.state is State.OPEN
    return client, ours


def masked(first, payload):
    """Write a client's frame by hand, masked with nothing."""
    size = len(payload)
    if size < 126:
        return bytes((first, 0x80 | size)) + bytes(4) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 0xFE, size) + bytes(4) + payload
    return struct.pack("!BBQ", first, 0xFF, size) + bytes(4) + payload


def packed(payload):
    return deflate(payload, 15)


def fault(data, max_frame=65536):
    client, ours = opened(max_frame)
    with pytest.raises(ProtocolError) as refused:
        ours.receive(data)
    client.receive_data(b"".join(ours.take_output()))
    return refused.value.reason, client.close_rcvd.code


def sent(client):
    return b"".join(client.data_to_send())


# --------------------------------------------------------------------------------------------------- agreeing


def test_a_client_that_offers_it_gets_it_with_nothing_kept_between_messages():
    client, ours = opened()
    [agreed] = client.extensions
    assert agreed.remote_no_context_takeover
    assert agreed.local_no_context_takeover
    assert ours.variant == 12


def test_a_listener_without_the_key_takes_nothing_up():
    client, ours = opened(layer=WebSocketLayer)
    assert client.extensions == []
    with pytest.raises(ProtocolError):
        ours.receive(masked(FINAL | PACKED | TEXT, packed(b"x")))
    assert ours.failure.reason == "reserved_bits"


def test_a_client_that_does_not_offer_it_gets_none():
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"))
    client.send_request(client.connect())
    ours = DeflateLayer(Limits(KIB))
    ours.receive(sent(client))
    assert b"xtensions" not in ours.take_output()[0]
    assert ours.wrap(b"x" * 500, True) == WebSocketLayer.framed(ours, b"x" * 500, True)
    with pytest.raises(ProtocolError):
        ours.receive(masked(FINAL | PACKED | TEXT, packed(b"x")))
    assert ours.failure.reason == "reserved_bits"


@pytest.mark.parametrize("bits", [9, 10, 12, 15])
def test_windows_of_every_size_work_both_ways(bits):
    client, ours = opened(1 << 20, server_max_window_bits=bits, client_max_window_bits=bits)
    assert ours.variant == min(bits, 12)
    payload = Random(1).randbytes(5000) * 20
    client.send_binary(payload)
    assert ours.receive(sent(client)) == [payload]
    client.receive_data(ours.wrap(payload, False))
    assert client.events_received() == [Frame(Opcode.BINARY, payload)]


# ---------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize("size", [0, 1, SHORTEST - 1, SHORTEST, 125, 126, 2043, 2044, 65535, 65536])
@pytest.mark.parametrize("kind", ["alike", "noise"])
def test_messages_of_every_length_arrive_both_ways(size, kind):
    client, ours = opened(65600)
    payload = b"x" * size if kind == "alike" else Random(size).randbytes(size)
    client.send_binary(payload)
    client.send_text(b"y" * size)
    assert ours.receive(sent(client)) == [payload, b"y" * size]
    client.receive_data(ours.wrap(payload, False) + ours.wrap(b"y" * size, True))
    assert client.events_received() == [Frame(Opcode.BINARY, payload), Frame(Opcode.TEXT, b"y" * size)]


def test_what_does_not_shrink_is_sent_as_it_is():
    _, ours = opened()
    noise = Random(1).randbytes(1000)
    assert ours.wrap(noise, False) == WebSocketLayer.framed(ours, noise, False)
    assert ours.wrap(b"x" * 1000, False)[0] == FINAL | PACKED | BINARY
    assert len(ours.wrap(b"x" * 1000, False)) < 50


@ALIKE
@given(st.data())
def test_however_the_bytes_are_cut_the_same_messages_arrive(data):
    client, ours = opened()
    messages = data.draw(st.lists(st.text(max_size=300), max_size=5))
    for message in messages:
        cut = data.draw(st.integers(0, len(message)))
        if data.draw(st.booleans()):
            client.send_text(message[:cut].encode(), fin=False)
            client.send_ping(b"between")
            client.send_continuation(message[cut:].encode(), fin=True)
        else:
            client.send_text(message.encode())
    wire = sent(client) + masked(FINAL | TEXT, b"plain")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=10)))
    pieces = [wire[start:end] for start, end in itertools.pairwise([0, *cuts, len(wire)])]
    found = [message for piece in pieces for message in ours.receive(piece)]
    assert found == [*(message.encode() for message in messages), b"plain"]
    assert not ours.partial()


def test_the_rfc_s_examples_are_understood():
    hello = bytes.fromhex("f248cdc9c90700")
    _, ours = opened()
    assert ours.receive(masked(0xC1, hello)) == [b"Hello"]
    assert ours.receive(masked(0x41, hello[:3]) + masked(0x80, hello[3:])) == [b"Hello"]
    stored = bytes.fromhex("000500faff48656c6c6f00")
    assert ours.receive(masked(0xC1, stored)) == [b"Hello"]
    last_block = bytes.fromhex("f348cdc9c9070000")
    assert ours.receive(masked(0xC1, last_block)) == [b"Hello"]
    two_blocks = bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", ""))
    assert ours.receive(masked(0xC1, two_blocks)) == [b"Hello"]
    assert ours.receive(masked(0xC1, b"\x00")) == [b""]


def test_nothing_is_kept_between_messages():
    _, ours = opened()
    assert ours.receive(masked(0xC1, packed(b"hello " * 100))) == [b"hello " * 100]
    assert (ours._inflater, ours.tail, ours.fragments) == (None, None, None)
    assert sys.getsizeof(ours) <= 240


# ------------------------------------------------------------------------------------------------------ faults


@pytest.mark.parametrize(
    ("data", "reason", "code"),
    [
        (masked(0xC1, b"\xff\xff\xff"), "bad_deflate", 1002),
        (masked(0xC1, bytes.fromhex("f348cdc9c90700") + b"more"), "bad_deflate", 1002),
        (masked(0x41, bytes.fromhex("f348cdc9c90700")) + masked(0, b"more"), "bad_deflate", 1002),
        (masked(0xC1, packed(b"\xff" * 200)), "bad_utf8", 1007),
        (masked(0x41, packed(b"\xff" * 200)), "bad_utf8", 1007),
        (masked(0xC0 | PING, b""), "reserved_bits", 1002),
        (masked(0x41, b"") + masked(0xC0, packed(b"x")), "reserved_bits", 1002),
        (masked(0x41, b"") + masked(0xC1, packed(b"x")), "reserved_bits", 1002),
        (masked(0xE1, packed(b"x")), "reserved_bits", 1002),
        (masked(0xD1, packed(b"x")), "reserved_bits", 1002),
        (masked(0xC3, packed(b"x")), "reserved_bits", 1002),
    ],
)
def test_what_the_rfc_forbids_ends_the_connection(data, reason, code):
    assert fault(data) == (reason, code)


def test_the_limit_holds_for_what_a_message_inflates_to():
    _, ours = opened(1024)
    assert ours.receive(masked(0xC2, packed(bytes(1024)))) == [bytes(1024)]
    assert fault(masked(0xC2, packed(bytes(1025))), 1024) == ("too_long", 1009)
    whole = packed(bytes(1025))
    assert fault(masked(0x42, whole[:4]) + masked(0x80, whole[4:]), 1024) == ("too_long", 1009)
    assert fault(masked(0x42, packed(bytes(600)) + b"\0\0\xff\xff") + masked(0x80, packed(bytes(425))), 1024) == (
        "too_long",
        1009,
    )
    assert fault(masked(0xC2, packed(Random(1).randbytes(1100))), 1024) == ("too_long", 1009)


def test_a_bomb_costs_no_more_than_the_limit():
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(1 << 20)
    bomb = b"".join(packer.compress(piece) for _ in range(64)) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]
    data = masked(0xC2, bomb)
    _, ours = opened(1 << 18)
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        ours.receive(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ours.failure.reason == "too_long"
    assert peak <= 2 * len(data) + (1 << 20)


def test_empty_fragments_without_end_keep_nothing():
    _, ours = opened()
    ours.receive(masked(0x42, b""))
    for _ in range(200):
        assert ours.receive(masked(0, b"\0\0\0\xff\xff") * 100) == []
    assert sys.getsizeof(ours.fragments) < 200
    assert ours.receive(masked(FINAL, packed(b"end"))) == [b"end"]


@ALIKE
@given(st.lists(st.tuples(st.sampled_from([0xC1, 0xC2, 0x41, 0x42, 0x00, 0x80]), st.binary(max_size=60)), max_size=6))
def test_no_bytes_do_anything_but_messages_or_an_orderly_end(frames):
    client, ours = opened(256)
    try:
        for first, payload in frames:
            assert all(type(found) is bytes and len(found) <= 256 for found in ours.receive(masked(first, payload)))
    except ProtocolError:
        assert not ours.open
    client.receive_data(b"".join(ours.take_output()))
    assert client.parser_exc is None
