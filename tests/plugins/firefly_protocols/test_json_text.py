"""One JSON object a message: the contract of every format, and what only this one has."""

import json

import pytest
from firefly_protocols.json_codec import JsonCodec
from firefly_protocols.json_text import JsonConfig, JsonText

from firefly_core.errors import ProtocolError
from firefly_core.testing.client_wire import JsonWire
from firefly_core.testing.protocol_contract import ProtocolContract
from firefly_core.wire.protocol import Limits, Request


def server(*, max_frame=65536, stream=False) -> JsonText:
    return JsonText(JsonConfig(), Limits(max_frame), stream=stream)


def reason(protocol, data) -> str:
    with pytest.raises(ProtocolError) as refused:
        protocol.receive(data)
    return refused.value.reason


class TestJsonText(ProtocolContract):
    protocol = JsonText
    codec = JsonCodec()
    garbage = (*ProtocolContract.garbage, b"null\n", b"[1]\n", b'{"cmd":1\n', b"\x00\n", b"\xff\xfe\n")

    def client(self, *, stream):
        return JsonWire(stream=stream)


def test_id_and_body_may_be_left_out():
    assert server().receive(b'{"cmd":203}') == [Request(203, b"null", None)]


def test_the_bytes_of_the_body_travel_untouched():
    (request,) = server().receive(b'{"body": {"x" : 1.50, "y":[ ] } , "cmd":203,"id":"a"}')
    assert request == Request(203, b'{"x" : 1.50, "y":[ ] }', "a")


def test_a_command_may_be_named():
    protocol = server()
    (request,) = protocol.receive(b'{"cmd":"catch","id":7}')
    assert request == Request("catch", b"null", 7)
    assert protocol.encode_reply(request, b"[1]") == b'{"id":7,"cmd":"catch","body":[1]}'


@pytest.mark.parametrize("identity", [0, 1, 2**53, 2**63 - 1, "", "a", 'q"\\\n', "\N{FIRE}" * 64])
def test_every_allowed_id_comes_back_as_it_was_sent(identity):
    protocol = server()
    (request,) = protocol.receive(json.dumps({"cmd": 1, "id": identity}).encode())
    assert request.request_id == identity
    assert json.loads(protocol.encode_reply(request, b"null"))["id"] == identity
    assert json.loads(protocol.encode_error(request, "x", "y", b""))["id"] == identity


@pytest.mark.parametrize(
    "message",
    [
        b"{}",
        b'{"id":7}',
        b'{"cmd":null}',
        b'{"cmd":true}',
        b'{"cmd":1.5}',
        b'{"cmd":-1}',
        b'{"cmd":4294967296}',
        b'{"cmd":""}',
        b'{"cmd":"' + b"x" * 129 + b'"}',
        b'{"cmd":[1]}',
        b'{"cmd":1,"id":-1}',
        b'{"cmd":1,"id":9223372036854775808}',
        b'{"cmd":1,"id":1.0}',
        b'{"cmd":1,"id":true}',
        b'{"cmd":1,"id":"' + b"x" * 65 + b'"}',
        b'{"cmd":1,"id":{}}',
        b'{"cmd":1,"ack":-1}',
        b'{"cmd":1,"ack":"7"}',
        b"7",
        b"null",
        b'"ping"',
        b"[203]",
    ],
)
def test_json_of_another_shape_is_refused(message):
    assert reason(server(), message) == "bad_message"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"x",
        b"{",
        b'{"cmd":1}{"cmd":2}',
        b'{"cmd":1} x',
        b'{"cmd":1,}',
        b'{"cmd":01}',
        b'{"cmd":1,"body":NaN}',
        b'{"cmd":1,"body":[1,}',
        b'{"cmd":1,"body":"\x01"}',
        b'{"cmd":"\xff"}',
        b'{"cmd":"\\ud800"}',
        b'\xef\xbb\xbf{"cmd":1}',
        b'{"cmd":1,"body":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"\x80\x04\x95",
        b"cos\nsystem",
    ],
)
def test_what_is_not_json_is_refused(message):
    assert reason(server(), message) == "bad_json"


def test_fields_that_are_not_known_are_ignored():
    assert server().receive(b'{"cmd":1,"id":2,"token":[1,{"a":2}],"seq":9}') == [Request(1, b"null", 2)]


def test_empty_lines_and_carriage_returns_are_allowed():
    protocol = server(stream=True)
    assert protocol.receive(b'\n\r\n  \n{"cmd":1}\r\n\n') == [Request(1, b"null")]
    assert protocol.tail is None


def test_a_line_as_long_as_the_limit_is_taken_and_one_byte_more_is_not():
    line = b'{"cmd":1,"body":"' + b"x" * 81 + b'"}'
    assert len(line) == 100
    for stream, end in ((True, b"\n"), (False, b"")):
        assert len(server(stream=stream, max_frame=100).receive(line + end)) == 1
        assert reason(server(stream=stream, max_frame=99), line + end) == "too_long"


def test_a_line_without_end_is_refused_at_the_limit():
    protocol = server(stream=True, max_frame=1024)
    assert protocol.receive(b"{" * 1024) == []
    assert reason(protocol, b"{") == "too_long"


@pytest.mark.parametrize("first", [b"G", b"\x16", b"[", b'"', b"\x00", b"\x0b", b"\xef"])
def test_a_line_that_cannot_become_an_object_is_refused_at_its_first_byte(first):
    assert reason(server(stream=True), first) == "bad_json"


def test_text_that_is_not_utf8_is_refused_wherever_it_stands():
    for message in (b'{"cmd":1,"body":"\xff"}', b'{"cmd":1,"\xff":2}', b'{"cmd":1,"body":"\xed\xa0\x80"}'):
        assert reason(server(), message) == "bad_json"


def test_a_pushs_name_is_escaped():
    assert json.loads(server().encode_push(2001, 'a"b\n', b"{}")) == {"cmd": 2001, "name": 'a"b\n', "body": {}}


def test_a_body_of_several_lines_stays_one_line_on_tcp():
    protocol = server(stream=True)
    frame = protocol.encode_reply(Request(1, b"", 2), b'{\n "x": "a\\nb"\n}')
    assert frame.count(b"\n") == 1
    assert json.loads(frame)["body"] == {"x": "a\nb"}


def test_a_ping_is_answered_and_a_pong_is_not():
    for stream, end in ((True, b"\n"), (False, b"")):
        protocol = server(stream=stream)
        assert protocol.receive(b'{"cmd":"ping"}' + end) == []
        assert protocol.output == [b'{"cmd":"pong"}' + end]
        protocol.output = None
        assert protocol.receive(b'{"cmd":"pong"}' + end) == []
        assert protocol.output is None


def test_many_pings_in_one_piece_get_one_pong():
    protocol = server(stream=True)
    assert protocol.receive(b'{"cmd":"ping"}\n' * 1000) == []
    assert protocol.output == [b'{"cmd":"pong"}\n']


def test_with_an_id_ping_is_a_command_like_any_other():
    protocol = server()
    assert protocol.receive(b'{"cmd":"ping","id":1}') == [Request("ping", b"null", 1)]
    assert protocol.output is None


def test_any_message_may_acknowledge_pushes_and_the_highest_counts():
    protocol = server()
    assert protocol.acknowledged == 0
    assert protocol.receive(b'{"cmd":"ack","ack":5}') == []
    assert protocol.receive(b'{"cmd":203,"ack":9}') == [Request(203, b"null")]
    assert protocol.receive(b'{"cmd":"pong","ack":7}') == []
    assert protocol.acknowledged == 9


def test_a_numbered_push_carries_seq():
    protocol = server()
    frame = protocol.number(protocol.encode_push(2001, "world", b"[1]"), 17)
    assert json.loads(frame) == {"seq": 17, "cmd": 2001, "name": "world", "body": [1]}
