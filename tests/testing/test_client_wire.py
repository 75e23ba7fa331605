"""The client's sides of the wire formats against the server's own."""

import json
import struct

import pytest
from firefly_protocols.datapack import Datapack, DatapackConfig, Header
from firefly_protocols.json_text import JsonConfig, JsonText

from firefly_core.testing.client_wire import Answer, DatapackWire, Goodbye, JsonWire, PushReceived
from firefly_core.wire.protocol import Limits


@pytest.fixture(params=[True, False], ids=["line", "message"])
def stream(request):
    return request.param


def test_json_requests_are_what_the_server_reads_and_its_answers_are_read(stream):
    server = JsonText(JsonConfig(), Limits(65536), stream=stream)
    client = JsonWire(stream=stream)
    (first,) = server.receive(client.encode(1, 203, {"x": 1}))
    (second,) = server.receive(client.encode(2, "chat", "hi"))
    (third,) = server.receive(client.encode(None, 105, None))
    assert (first.command, json.loads(first.body), first.request_id) == (203, {"x": 1}, 1)
    assert (second.command, json.loads(second.body), second.request_id) == ("chat", "hi", 2)
    assert third.request_id is None
    assert list(client.receive(server.encode_reply(first, b'{"ok":true}'))) == [Answer(1, {"ok": True})]
    answer = server.encode_error(second, "too_far", "out of reach", b"")
    assert list(client.receive(answer)) == [Answer(2, None, "too_far", "out of reach")]
    assert list(client.receive(server.encode_push(2001, "world", b"[1]"))) == [PushReceived(2001, [1], "world")]
    assert list(client.receive(server.encode_goodbye("kicked"))) == [Goodbye("kicked")]


def test_a_heartbeat_is_answered(stream):
    server = JsonText(JsonConfig(), Limits(65536), stream=stream)
    client = JsonWire(stream=stream)
    (pong,) = client.receive(server.encode_heartbeat())
    assert server.receive(pong) == []
    assert server.failure is None


def test_json_lines_may_arrive_in_any_pieces():
    client = JsonWire()
    text = b'{"id":1,"cmd":1,"body":5}\n\n{"cmd":7,"name":"n","body":"x"}\n'
    found = [item for index in range(len(text)) for item in client.receive(text[index : index + 1])]
    assert found == [Answer(1, 5), PushReceived(7, "x", "n")]


HEADER = (78, 37, 38, 48, 9, 3)


@pytest.fixture
def datapack():
    return Datapack(DatapackConfig(header=Header(HEADER)), Limits(65536), stream=True)


def test_datapack_requests_are_what_the_server_reads_and_its_answers_are_read_in_order(datapack):
    client = DatapackWire(header=HEADER)
    first, second = datapack.receive(client.encode(1, 101, {"a": 1}) + client.encode(2, 102, None))
    assert (first.command, first.body, second.command) == (101, b'{"a": 1}', 102)
    error = json.dumps({"error": {"code": "too_far", "message": "no"}}).encode()
    data = (
        datapack.encode_push(2001, "world", b"[]")
        + datapack.encode_reply(first, b'"one"')
        + datapack.encode_error(second, "too_far", "no", error)
    )
    expected = [PushReceived(2001, []), Answer(1, "one"), Answer(2, None, "too_far", "no")]
    assert client.receive(data) == expected
    again = DatapackWire(header=HEADER)
    again.encode(1, 101, None)
    again.encode(2, 102, None)
    assert [item for index in range(len(data)) for item in again.receive(data[index : index + 1])] == expected


def test_a_command_that_is_not_awaited_is_a_push():
    client = DatapackWire()
    client.encode(1, 101, None)
    frame = struct.pack("!5BIII", 0, 0, 0, 0, 0, 0, 5, 102) + b"7"
    assert client.receive(frame) == [PushReceived(102, 7)]


def test_an_answer_that_nobody_waits_for_is_dropped_in_its_turn():
    client = DatapackWire()
    client.encode(None, 101, None)
    client.encode(2, 101, None)
    frame = struct.pack("!5BIII", 0, 0, 0, 0, 0, 0, 5, 101)
    assert client.receive(frame + b"1" + frame + b"2") == [Answer(2, 2)]


def test_errors_may_have_a_command_of_their_own():
    client = DatapackWire(error_command=9)
    client.encode(1, 101, None)
    body = json.dumps({"error": {"code": "internal", "message": "m"}}).encode()
    frame = struct.pack("!5BIII", 0, 0, 0, 0, 0, 0, len(body) + 4, 9) + body
    assert client.receive(frame) == [Answer(1, None, "internal", "m")]


@pytest.mark.parametrize(
    ("codec", "body"), [("json", {"a": [1, None]}), ("msgpack", {"a": [1, None]}), ("raw", b"\0\1")]
)
def test_bodies_travel_in_each_codec(codec, body):
    client = DatapackWire(codec=codec)
    sent = client.encode(1, 5, body)
    assert client.receive(sent) == [Answer(1, body)]


def test_datapack_has_no_names():
    with pytest.raises(TypeError, match="login"):
        DatapackWire().encode(1, "login", None)


def test_a_foreign_header_is_an_error():
    with pytest.raises(ValueError, match="not ours"):
        DatapackWire().receive(b"HTTP/1.1 400 Bad Request\r\n")
