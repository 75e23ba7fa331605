"""The 17-byte header: the contract of every format, and what only this one has."""

import json
import struct
import sys
from typing import ClassVar

import pytest
from firefly_protocols.datapack import Datapack, DatapackConfig
from firefly_protocols.json_codec import JsonCodec

from firefly_core.errors import ConfigurationError, ProtocolError
from firefly_core.kernel.config.config import read_alone
from firefly_core.testing.client_wire import DatapackWire
from firefly_core.testing.protocol_contract import ProtocolContract
from firefly_core.wire.protocol import Limits, Request

HEADER = [78, 37, 38, 48, 9, 5]


def pack(command: int, body: bytes, header=(0, 0, 0, 0, 0, 0), length=None) -> bytes:
    return struct.pack("!5B3I", *header, len(body) + 4 if length is None else length, command) + body


def server(*, max_frame=65536, stream=True, **keys) -> Datapack:
    return Datapack(read_alone(DatapackConfig, keys), Limits(max_frame), stream=stream)


class TestDatapack(ProtocolContract):
    protocol = Datapack
    codec = JsonCodec()
    keys: ClassVar = {"header": HEADER}
    has_names = False
    has_notifies = False
    idle_bytes = 150

    def client(self, *, stream):
        return DatapackWire(header=HEADER)


class TestDatapackWithHeaderOfZeros(TestDatapack):
    keys: ClassVar = {}

    def client(self, *, stream):
        return DatapackWire()


class TestDatapackWithErrorsOfTheirOwn(TestDatapack):
    keys: ClassVar = {"header": HEADER, "error_command": 999}

    def client(self, *, stream):
        return DatapackWire(header=HEADER, error_command=999)


def test_the_ancestors_bytes_are_understood_and_answered():
    # As its dataPackProtoc packs them: struct.pack('!sssss3I', 'N', '%', '&', '0', '\x09', 5, 9, 203) + 'hello'
    wire = bytes.fromhex("4e 25 26 30 09 00000005 00000009 000000cb 68656c6c6f")
    protocol = server(header=HEADER)
    assert protocol.receive(wire) == [Request(203, b"hello", None)]
    answer = bytes.fromhex("4e 25 26 30 09 00000005 00000006 000000cb 6f6b")
    assert protocol.encode_reply(Request(203, b"hello"), b"ok") == answer
    assert protocol.encode_push(203, "", b"ok") == answer


def test_an_error_travels_under_the_requests_id_unless_another_is_configured():
    body = b'{"error":{"code":"x","message":"y"}}'
    assert server().encode_error(Request(203, b""), "x", "y", body) == pack(203, body)
    assert server(error_command=0).encode_error(Request(203, b""), "x", "y", body) == pack(0, body)
    assert server(error_command=4294967295).encode_error(Request(203, b""), "x", "y", body) == pack(2**32 - 1, body)


@pytest.mark.parametrize("command", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_every_command_id_of_32_bits_is_given(command):
    assert server().receive(pack(command, b"x")) == [Request(command, b"x")]


def test_an_empty_body_is_a_request():
    assert server().receive(pack(203, b"")) == [Request(203, b"")]


@pytest.mark.parametrize("place", range(9))
def test_a_header_that_begins_otherwise_is_refused_at_its_first_wrong_byte(place):
    protocol = server(header=[1, 2, 3, 4, 5, 0x06070809])
    damaged = bytearray(pack(203, b"x", (1, 2, 3, 4, 5, 0x06070809)))
    damaged[place] ^= 0x80
    wire = bytes(damaged)
    for index in range(place):
        assert protocol.receive(wire[index : index + 1]) == []
    with pytest.raises(ProtocolError) as refused:
        protocol.receive(wire[place : place + 1])
    assert refused.value.reason == ("bad_magic" if place < 4 else "bad_version")


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_a_length_below_four_is_refused(length):
    with pytest.raises(ProtocolError) as refused:
        server().receive(pack(203, b"", length=length))
    assert refused.value.reason == "bad_length"


@pytest.mark.parametrize("length", [1029, 65541, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_over_the_limit_is_refused_by_the_header_alone(length):
    with pytest.raises(ProtocolError) as refused:
        server(max_frame=1024).receive(pack(203, b"", length=length))
    assert refused.value.reason == "too_long"


def test_a_body_as_long_as_the_limit_is_taken_and_one_byte_more_is_not():
    assert server(max_frame=1024).receive(pack(203, b"x" * 1024)) == [Request(203, b"x" * 1024)]
    with pytest.raises(ProtocolError):
        server(max_frame=1024).receive(pack(203, b"x" * 1025))


def test_a_header_that_another_connection_may_use_is_judged_by_this_ones_limit():
    settings = read_alone(DatapackConfig, {"header": HEADER})
    wire = pack(203, b"x" * 2000, HEADER)
    assert len(Datapack(settings, Limits(4096), stream=True).receive(wire)) == 1
    with pytest.raises(ProtocolError) as refused:
        Datapack(settings, Limits(1024), stream=True).receive(wire)
    assert refused.value.reason == "too_long"


def test_the_headers_that_are_remembered_are_bounded():
    settings = read_alone(DatapackConfig, {"header": HEADER})
    protocol = Datapack(settings, Limits(65536), stream=True)
    for command in range(10_000):
        assert protocol.receive(pack(command, b"x", HEADER)) == [Request(command, b"x")]
        assert len(settings.header.known) <= 4096


def test_a_refused_header_is_not_remembered():
    settings = read_alone(DatapackConfig, {"header": HEADER})
    for bad in (pack(203, b"", (9, 9, 9, 9, 9, 9)), pack(203, b"", HEADER, length=2)):
        with pytest.raises(ProtocolError):
            Datapack(settings, Limits(1024), stream=True).receive(bad)
    assert settings.header.known == {}


def test_a_listeners_headers_are_not_anothers():
    one, other = (read_alone(DatapackConfig, {"header": [place, 0, 0, 0, 0, 0]}) for place in (1, 2))
    assert Datapack(one, Limits(1024), stream=True).receive(pack(1, b"", (1, 0, 0, 0, 0, 0)))
    with pytest.raises(ProtocolError):
        Datapack(other, Limits(1024), stream=True).receive(pack(1, b"", (1, 0, 0, 0, 0, 0)))


def test_a_valid_frame_with_a_byte_of_garbage_behind_is_given_and_then_refused():
    protocol = server(header=HEADER)
    assert protocol.receive(pack(203, b"x", HEADER) + b"\xff") == [Request(203, b"x")]
    assert protocol.failure is not None
    assert protocol.failure.reason == "bad_magic"


def test_a_mebibyte_of_zeros_is_refused_and_not_kept():
    protocol = server()
    with pytest.raises(ProtocolError) as refused:
        protocol.receive(bytes(2**20))
    assert refused.value.reason == "bad_length"
    assert protocol.tail is None


def test_a_client_that_announces_the_longest_frame_and_stops_costs_nothing_yet():
    protocol = server(max_frame=65536)
    assert protocol.receive(pack(203, b"", length=65540)) == []
    assert protocol.tail is not None
    assert sys.getsizeof(protocol.tail) < 200


def test_several_frames_may_stand_in_one_websocket_message_but_none_may_be_cut():
    both = pack(1, b"a") + pack(2, b"b")
    assert server(stream=False).receive(both) == [Request(1, b"a"), Request(2, b"b")]
    protocol = server(stream=False)
    assert protocol.receive(both[:-1]) == [Request(1, b"a")]
    assert protocol.failure is not None
    assert protocol.failure.reason == "truncated"


@pytest.mark.parametrize(
    "header",
    [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [256, 0, 0, 0, 0, 0],
        [-1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 256, 0],
        [0, 0, 0, 0, 0, 2**32],
        [True, 0, 0, 0, 0, 0],
        [0.0, 0, 0, 0, 0, 0],
        "000000",
        7,
    ],
)
def test_a_header_of_other_values_is_a_configuration_error(header):
    with pytest.raises(ConfigurationError) as refused:
        read_alone(DatapackConfig, {"header": header})
    assert "header" in str(refused.value)


@pytest.mark.parametrize("command", [-1, 2**32, "7", True, 1.5])
def test_an_error_command_that_is_no_u32_is_a_configuration_error(command):
    with pytest.raises(ConfigurationError):
        read_alone(DatapackConfig, {"error_command": command})


def test_what_a_client_with_nothing_but_struct_and_json_sends_is_answered():
    protocol = server(header=HEADER)
    (request,) = protocol.receive(pack(101, json.dumps({"name": "Ada"}).encode(), HEADER))
    frame = protocol.encode_reply(request, b'{"gold":5}')
    *fixed, length, command = struct.unpack("!5B3I", frame[:17])
    assert (fixed, length, command) == (HEADER, 14, 101)
    assert json.loads(frame[17:]) == {"gold": 5}
