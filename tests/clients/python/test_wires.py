"""The client's side of each format, against the server's: whatever one writes the other reads, however it is split."""

from __future__ import annotations

import json

import pytest
from firefly_client.datapack import Datapack
from firefly_client.errors import BadMessage
from firefly_client.json_text import JsonText
from firefly_client.msgpack_frames import MsgpackFrames
from firefly_client.wire import Answer, Control, Push
from firefly_protocols.datapack import Datapack as ServerDatapack
from firefly_protocols.json_codec import JsonCodec
from firefly_protocols.json_text import JsonText as ServerJson
from firefly_protocols.msgpack_codec import MsgpackCodec
from firefly_protocols.msgpack_frames import MsgpackFrames as ServerMsgpack

from firefly_core.kernel.config.config import read_alone
from firefly_core.wire.protocol import Limits

WIRES = {
    "json": (JsonText, ServerJson, JsonCodec()),
    "msgpack": (MsgpackFrames, ServerMsgpack, MsgpackCodec()),
    "datapack": (lambda: Datapack((1, 2, 3, 4, 5, 6)), ServerDatapack, JsonCodec()),
}
BODIES = [None, 7, -0.5, "ü☃", [1, [2, []]], {"a": {"b": None}}]


def pair(name, *, stream=True):
    client, server, codec = WIRES[name]
    keys = {"header": [1, 2, 3, 4, 5, 6]} if name == "datapack" else {}
    wire = client()
    wire.reset(stream=stream)
    return wire, server(read_alone(server.Config, keys), Limits(65536), stream=stream), codec


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("stream", [True, False])
def test_what_the_client_writes_the_server_reads(name, stream):
    wire, server, codec = pair(name, stream=stream)
    for body in BODIES:
        (request,) = server.receive(wire.encode(7, 203, wire.encode_body(body), 0))
        assert (request.command, request.request_id) == (203, None if name == "datapack" else 7)
        assert codec.decoder(object)(request.body) == body


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_the_server_writes_the_client_reads_however_it_is_split(name, size):
    wire, server, codec = pair(name)
    sent = b"".join(wire.encode(number, 203, wire.encode_body(None), 0) for number in (7, 8))
    first, second = server.receive(sent)
    error = codec.encode({"error": {"code": "too_far", "message": "ü"}})
    data = server.encode_push(2001, "news", codec.encode({"t": 1}))
    data += server.encode_reply(first, codec.encode([1])) + server.encode_error(second, "too_far", "ü", error)
    messages = [message for at in range(0, len(data), size) for message in wire.receive(data[at : at + size])]
    named = "" if name == "datapack" else "news"
    assert messages == [Push(2001, named, {"t": 1}), Answer(7, [1]), Answer(8, None, ("too_far", "ü"))]


@pytest.mark.parametrize("name", ["json", "msgpack"])
@pytest.mark.parametrize("stream", [True, False])
def test_acknowledgements_numbers_and_the_formats_own_messages(name, stream):
    wire, server, codec = pair(name, stream=stream)
    null = wire.encode_body(None)
    assert server.receive(wire.encode(None, "ack", null, 300)) == []
    assert server.acknowledged == 300
    (request,) = server.receive(wire.encode(None, "move", null, 301))
    assert (request.command, request.request_id, server.acknowledged) == ("move", None, 301)
    assert wire.receive(server.number(server.encode_push(2001, "news", codec.encode(1)), 9)) == [
        Push(2001, "news", 1, 9)
    ]
    assert wire.receive(server.encode_goodbye("kicked")) == [Control("goodbye", "kicked")]
    assert wire.receive(server.encode_heartbeat()) == [Control("ping")]
    server.receive(wire.encode(None, "ping", null, 0))
    assert wire.receive(b"".join(server.output)) == [Control("pong")]


@pytest.mark.parametrize("name", WIRES)
def test_a_new_line_begins_with_nothing_of_the_old_one(name):
    wire, server, codec = pair(name)
    data = server.encode_push(2001, "news", codec.encode({"t": 1}))
    assert wire.receive(data[:-2]) == []
    wire.reset(stream=True)
    assert len(wire.receive(data)) == 1


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("json", b'{"id": 1'.ljust(100) + b"\n"),
        ("json", b"7\n"),
        ("json", b'{"cmd": null}\n'),
        ("msgpack", b"\x00\x00\x00\x00"),
        ("msgpack", b"\x7f\xff\xff\xff"),
        ("msgpack", b"\x00\x00\x00\x01\xc1"),
        ("msgpack", b"\x00\x00\x00\x02\x91\x01"),
        ("msgpack", b"\x00\x00\x00\x03\x92\xc0\xc0"),
        ("datapack", bytes((1, 2, 3, 4, 5, 0, 0, 0, 6, 0, 0, 0, 3, 0, 0, 0, 1))),
        ("datapack", bytes((1, 2, 3, 4, 5, 0, 0, 0, 6, 127, 0, 0, 3, 0, 0, 0, 1))),
        ("datapack", b"HTTP/1.1 400 Bad Request\r\n"),
        ("datapack", bytes((1, 2, 3, 4, 5, 0, 0, 0, 6, 0, 0, 0, 5, 0, 0, 0, 1)) + b"{"),
    ],
)
def test_what_is_not_of_the_format_is_refused(name, data):
    wire, _, _ = pair(name)
    with pytest.raises(BadMessage):
        wire.receive(data)


def test_a_json_line_that_never_ends_is_refused():
    wire, _, _ = pair("json")
    assert wire.receive(b"x" * 2**24) == []
    with pytest.raises(BadMessage, match="over"):
        wire.receive(b"x")


def test_json_is_written_without_blanks_and_as_it_reads():
    wire, _, _ = pair("json")
    assert (
        wire.encode(1, "say", wire.encode_body({"text": "ü"}), 5)
        == '{"id":1,"cmd":"say","body":{"text":"ü"},"ack":5}\n'.encode()
    )


def test_datapack_errors_under_a_command_of_their_own_belong_to_the_oldest_request():
    wire = Datapack(error_command=9)
    for identity, command in ((1, 203), (2, 204)):
        wire.encode(identity, command, b"{}", 0)
    head = bytes(9)
    error = json.dumps({"error": {"code": "no", "message": ""}}).encode()
    data = head + (len(error) + 4).to_bytes(4, "big") + (9).to_bytes(4, "big") + error
    assert wire.receive(data) == [Answer(1, None, ("no", ""))]


def test_a_datapack_notify_is_answered_and_nobody_hears_it():
    wire, server, codec = pair("datapack")
    (request,) = server.receive(wire.encode(None, 203, b"1", 0))
    assert wire.receive(server.encode_reply(request, codec.encode(1))) == []
    with pytest.raises(ValueError, match="no names"):
        wire.encode(1, "catch", b"", 0)
