"""Pomelo's packages and messages: the contract of every format, and what only this one has.

The bytes in hex were made by pomelo-protocol 0.1.6, the encoder of Pomelo's own clients.
"""

import json
import sys
from typing import ClassVar

import pytest
from firefly_protocols.json_codec import JsonCodec
from firefly_protocols.pomelo import Pomelo, PomeloConfig

from firefly_core.errors import ConfigurationError, ProtocolError
from firefly_core.kernel.config.config import read_alone
from firefly_core.testing.pomelo_wire import PomeloWire
from firefly_core.testing.protocol_contract import ProtocolContract
from firefly_core.wire.protocol import Limits, Request

HANDSHAKE = bytes.fromhex(
    "0100004b7b22737973223a7b2274797065223a226a732d776562736f636b6574222c2276657273696f6e223a22302e302e31222c"
    "22727361223a7b7d2c2270726f746f56657273696f6e223a307d7d"
)
ACKNOWLEDGEMENT = bytes.fromhex("02000000")
BEAT = bytes.fromhex("03000000")


def package(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def new(*, max_frame=65536, stream=True, names=None, **keys) -> Pomelo:
    return Pomelo(read_alone(PomeloConfig, keys), Limits(max_frame), stream=stream, names=names or {})


def working(**options) -> Pomelo:
    protocol = new(**options)
    assert protocol.receive(HANDSHAKE) == []
    assert protocol.receive(ACKNOWLEDGEMENT) == []
    protocol.output = None
    return protocol


def reason(protocol, data) -> str:
    with pytest.raises(ProtocolError) as refused:
        protocol.receive(data)
    return refused.value.reason


def greeting(protocol) -> dict:
    protocol.receive(HANDSHAKE)
    (frame,) = protocol.output
    assert frame[0] == 1
    assert int.from_bytes(frame[1:4], "big") == len(frame) - 4
    return json.loads(frame[4:])


class TestPomelo(ProtocolContract):
    protocol = Pomelo
    codec = JsonCodec()
    keys: ClassVar = {"heartbeat": 3}
    garbage = (*ProtocolContract.garbage, bytes(17), b"\x05\x00\x00\x00", b"\xff" * 8)

    def open(self, server):
        server.receive(HANDSHAKE + ACKNOWLEDGEMENT)
        server.output = None

    def client(self, *, stream):
        return PomeloWire(opened=True)


# --------------------------------------------------------------------------------------------------- handshake


def test_the_handshake_is_answered_with_heartbeat_and_dictionary():
    answer = greeting(new(names={"catch": 203, "world": 2001}, heartbeat=3))
    assert answer == {"code": 200, "sys": {"heartbeat": 3, "dict": {"catch": 203, "world": 2001}}, "user": {}}


def test_the_dictionary_has_what_fits_two_bytes_and_is_read_when_a_client_connects():
    names = {"zero": 0, "low": 1, "high": 65535, "over": 65536}
    protocol, later = new(names=names), new(names=names)
    assert greeting(protocol)["sys"]["dict"] == {"low": 1, "high": 65535}
    names["new"] = 7
    assert greeting(later)["sys"]["dict"] == {"low": 1, "high": 65535, "new": 7}
    assert "dict" not in greeting(new())["sys"]


def test_protos_are_sent_to_clients_that_need_them_by_config_only():
    assert "protos" not in greeting(new())["sys"]
    assert greeting(new(protos=True))["sys"]["protos"] == {"client": {}, "server": {}, "version": 0}


def test_the_acknowledgement_is_answered_with_the_first_heartbeat():
    protocol = new()
    protocol.receive(HANDSHAKE)
    protocol.output = None
    assert protocol.encode_heartbeat() == b""
    protocol.receive(ACKNOWLEDGEMENT)
    assert protocol.output == [BEAT]
    assert protocol.encode_heartbeat() == BEAT


def test_a_second_acknowledgement_changes_nothing():
    protocol = working()
    assert protocol.receive(ACKNOWLEDGEMENT + package(4, b"\x02\x04chatnull")) == [Request("chat", b"null")]
    assert protocol.output is None


def test_handshake_acknowledgement_and_first_request_may_come_in_one_piece():
    protocol = new()
    wire = HANDSHAKE + ACKNOWLEDGEMENT + bytes.fromhex("0400000f00070563617463687b2278223a317d")
    assert protocol.receive(wire) == [Request("catch", b'{"x":1}', 7)]
    assert len(protocol.output) == 2


@pytest.mark.parametrize("first", [ACKNOWLEDGEMENT, BEAT, package(4, b"\x02\x01xnull")])
def test_nothing_may_come_before_the_handshake(first):
    assert reason(new(), first[:1]) == "no_handshake"
    assert reason(new(), first) == "no_handshake"


def test_no_message_may_come_before_the_acknowledgement():
    protocol = new()
    protocol.receive(HANDSHAKE)
    assert reason(protocol, package(4, b"\x02\x01xnull")) == "no_handshake"


def test_a_second_handshake_is_refused():
    assert reason(working(), HANDSHAKE) == "bad_handshake"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"7", b"\xff", b"[" * 5000, b'{"sys":' + b"[" * 5000])
def test_a_handshake_that_is_no_json_object_is_answered_with_500(body):
    protocol = new()
    assert reason(protocol, package(1, body)) == "bad_handshake"
    assert protocol.output == [package(1, b'{"code":500}')]


@pytest.mark.parametrize("kind", [0, 5, 6, 71, 255])
def test_a_package_of_another_type_is_refused_at_its_first_byte(kind):
    assert reason(new(), bytes((kind,))) == "bad_type"
    assert reason(working(), bytes((kind,))) == "bad_type"


def test_a_heartbeat_is_answered_once_however_many_come():
    protocol = working()
    assert protocol.receive(BEAT * 1000) == []
    assert protocol.output == [BEAT]


# ---------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("wire", "request_"),
    [
        ("0400000f00070563617463687b2278223a317d", Request("catch", b'{"x":1}', 7)),
        ("0400000701ac0200cb7b7d", Request(203, b"{}", 300)),
        ("0400000a02046368617422686922", Request("chat", b'"hi"', None)),
        ("040000070300686e756c6c", Request(104, b"null", None)),
        ("04000011009b898301074772c3bcc39f656e756c6c", Request("Grüße", b"null", 2147483)),
    ],
)
def test_what_pomelos_own_encoder_writes_is_understood(wire, request_):
    assert working().receive(bytes.fromhex(wire)) == [request_]


def test_answers_and_pushes_are_what_pomelos_own_encoder_writes():
    protocol = working()
    assert protocol.encode_reply(Request("x", b"", 7), b'{"gold":5}').hex() == "0400000c04077b22676f6c64223a357d"
    assert protocol.encode_push(2001, "world", b'{"t":1}').hex() == "0400000e0605776f726c647b2274223a317d"
    assert protocol.encode_goodbye("kicked").hex() == "050000137b22726561736f6e223a226b69636b6564227d"


@pytest.mark.parametrize("identity", [0, 1, 127, 128, 16383, 16384, 2**32, 2**63 - 1])
def test_every_id_comes_back_as_it_was_sent(identity):
    protocol = working()
    (request,) = protocol.receive(PomeloWire(opened=True).encode(identity, 203, None))
    assert request.request_id == identity
    (answer,) = PomeloWire(opened=True).receive(protocol.encode_reply(request, b"null"))
    assert answer.number == identity


def test_a_route_of_digits_is_a_command_id():
    for route, command in ((b"203", 203), (b"4294967295", 2**32 - 1), (b"4294967296", "4294967296"), (b"-1", "-1")):
        assert working().receive(package(4, b"\x02" + bytes((len(route),)) + route)) == [Request(command, b"")]


def test_a_compressed_body_is_refused():
    assert reason(working(), bytes.fromhex("0400000f10070563617463687b2278223a317d")) == "compressed"


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("", "bad_message"),
        ("04 07", "bad_message"),
        ("06 01 78", "bad_message"),
        ("08 01", "bad_message"),
        ("0e 01", "bad_message"),
        ("20 07 01 78", "bad_message"),
        ("80 07 01 78", "bad_message"),
        ("40 07 01 78", "bad_message"),
        ("00", "bad_id"),
        ("00 80", "bad_id"),
        ("00 80 80 80 80 80 80 80 80 80 01 01 78", "bad_id"),
        ("00" + "ff" * 12, "bad_id"),
        ("00 07", "bad_route"),
        ("00 07 00", "bad_route"),
        ("00 07 05 61", "bad_route"),
        ("02", "bad_route"),
        ("02 ff 61", "bad_route"),
        ("02 01 ff", "bad_route"),
        ("01 07", "bad_route"),
        ("01 07 00", "bad_route"),
        ("03 00", "bad_route"),
    ],
)
def test_a_message_of_another_shape_is_refused(message, word):
    assert reason(working(), package(4, bytes.fromhex(message))) == word


def test_a_package_over_the_limit_is_refused_by_its_header():
    for header in ("04000401", "04ffffff"):
        assert reason(working(max_frame=1024), bytes.fromhex(header)) == "too_long"
    assert reason(new(max_frame=1024), bytes.fromhex("01000401")) == "too_long"
    message = b"\x02\x01x" + b"0" * 1021
    assert len(working(max_frame=1024).receive(package(4, message))) == 1


def test_a_client_that_announces_the_longest_package_and_stops_costs_nothing_yet():
    protocol = working()
    assert protocol.receive(bytes.fromhex("04010000")) == []
    assert protocol.tail is not None
    assert sys.getsizeof(protocol.tail) < 200


def test_an_error_has_what_the_clients_of_pomelo_and_pitaya_look_for():
    protocol = working()
    frame = protocol.encode_error(
        Request(203, b"", 7), "too_far", 'so "far"', b'{"error":{"code":"too_far","message":""}}'
    )
    assert frame[4] == 0x24
    body = json.loads(frame[6:])
    assert body == {"code": "too_far", "msg": 'so "far"', "error": {"code": "too_far", "message": ""}}


def test_an_error_in_a_codec_that_is_not_json_keeps_its_body():
    frame = working().encode_error(Request(203, b"", 7), "x", "y", b"\x81\xa5error\xc0")
    assert frame == package(4, b"\x24\x07\x81\xa5error\xc0")


def test_a_notify_has_no_answer():
    protocol = working()
    assert protocol.encode_reply(Request(203, b""), b"null") == b""
    assert protocol.encode_error(Request(203, b""), "x", "y", b"{}") == b""


def test_an_answer_that_no_package_holds_ends_in_an_error():
    (answer,) = PomeloWire().receive(working().encode_reply(Request(203, b"", 7), b"0" * 2**24))
    assert (answer.number, answer.code) == (7, "internal")


def test_a_push_without_a_name_or_with_a_long_one_travels_under_its_id():
    for name in ("", "n" * 256, "ü" * 128):
        assert working().encode_push(2001, name, b"{}") == package(4, b"\x06\x042001{}")
    assert working().encode_push(2001, "n" * 255, b"{}") == package(4, b"\x06\xff" + b"n" * 255 + b"{}")


def test_names_beyond_the_dictionary_are_used_by_a_client_that_has_read_it():
    protocol, client = new(names={"catch": 203}), PomeloWire()
    requests = protocol.receive(client.encode(1, "catch", None))
    for frame in protocol.output:
        client.receive(frame)
    requests += protocol.receive(client.encode(2, "catch", None) + client.encode(3, "unlisted", None))
    assert [request.command for request in requests] == ["catch", 203, "unlisted"]


@pytest.mark.parametrize("keys", [{"heartbeat": 0}, {"heartbeat": 1.5}, {"heartbeat": True}, {"protos": 1}])
def test_keys_of_other_values_are_a_configuration_error(keys):
    with pytest.raises(ConfigurationError):
        read_alone(PomeloConfig, keys)
