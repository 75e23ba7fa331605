"""One MessagePack array a message: the contract of every format, and what only this one has."""

import struct
import sys

import msgpack
import pytest
from firefly_protocols.msgpack_codec import MsgpackCodec
from firefly_protocols.msgpack_frames import MsgpackConfig, MsgpackFrames

from firefly_core.errors import ProtocolError
from firefly_core.testing.msgpack_wire import MsgpackWire
from firefly_core.testing.protocol_contract import ProtocolContract
from firefly_core.wire.protocol import Limits, Request

NIL = b"\xc0"


def server(*, max_frame=65536, stream=False) -> MsgpackFrames:
    return MsgpackFrames(MsgpackConfig(), Limits(max_frame), stream=stream)


def framed(array: bytes) -> bytes:
    return struct.pack("!I", len(array)) + array


def reason(protocol, data) -> str:
    with pytest.raises(ProtocolError) as refused:
        protocol.receive(data)
    return refused.value.reason


class TestMsgpackFrames(ProtocolContract):
    protocol = MsgpackFrames
    codec = MsgpackCodec()
    garbage = (*ProtocolContract.garbage, bytes(17), framed(b"\xc1"), framed(b"\xc0"), framed(b"\x92\x01"))

    def client(self, *, stream):
        return MsgpackWire(stream=stream)


def test_the_body_may_be_left_out():
    assert server().receive(msgpack.packb([7, 203])) == [Request(203, NIL, 7)]
    assert server().receive(msgpack.packb([None, "catch"])) == [Request("catch", NIL, None)]


def test_the_bytes_of_the_body_travel_untouched():
    body = b"\xdc\x00\x02\xcd\x00\x01\xd9\x01a"
    assert server().receive(b"\x93\x07\xcc\xcb" + body) == [Request(203, body, 7)]


@pytest.mark.parametrize("identity", [0, 1, 2**32, 2**63 - 1, "", "a", "\N{FIRE}" * 64])
def test_every_allowed_id_comes_back_as_it_was_sent(identity):
    protocol = server()
    (request,) = protocol.receive(msgpack.packb([identity, "catch", None]))
    assert request.request_id == identity
    assert msgpack.unpackb(protocol.encode_reply(request, NIL)) == [identity, "catch", None]
    assert msgpack.unpackb(protocol.encode_error(request, "x", "y", b""))[0] == identity


def test_further_elements_are_ignored():
    assert server().receive(msgpack.packb([7, 203, None, 0, {"later": 1}, 2])) == [Request(203, NIL, 7)]


@pytest.mark.parametrize(
    "message",
    [
        [],
        [7],
        [7, None],
        [7, True],
        [7, 1.5],
        [7, -1],
        [7, 2**32],
        [7, ""],
        [7, "x" * 129],
        [7, b"catch"],
        [7, [1]],
        [-1, 203],
        [2**63, 203],
        [True, 203],
        [1.5, 203],
        ["x" * 65, 203],
        [7, 203, None, -1],
        [7, 203, None, "1"],
        {"id": 7, "cmd": 203},
        203,
        None,
        "ping",
    ],
)
def test_msgpack_of_another_shape_is_refused(message):
    assert reason(server(), msgpack.packb(message)) == "bad_message"


@pytest.mark.parametrize(
    "message",
    [
        b"\xc1",
        b"\x93\x07\xcc\xcb\xc1",
        b"\x93\x07\xcc\xcb",
        b"\x93\x07\xcc\xcb\xc0\xc0",
        b"\x93\x07\xcc\xcb\xdd\xff\xff\xff\xff",
        b"\x93\x07\xcc\xcb\xdf\xff\xff\xff\xff",
        b"\x93\x07\xcc\xcb\xdb\xff\xff\xff\xff\x61",
        b"\x93\x07\xcc\xcb\xc6\x7f\xff\xff\xff",
        b"\x93\x07\xcc\xcb" + b"\x91" * 5000 + b"\xc0",
        b"\x93\x07\xa3\xed\xa0\x80\xc0",
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_what_is_not_msgpack_is_refused(message):
    assert reason(server(), message) == "bad_msgpack"


def test_a_length_of_nothing_is_refused():
    assert reason(server(stream=True), bytes(4)) == "bad_length"
    assert reason(server(), b"") == "bad_length"


@pytest.mark.parametrize("head", ["00000401", "7fffffff", "fffffffc", "ffffffff", "80000000"])
def test_a_length_over_the_limit_is_refused_by_the_prefix_alone(head):
    assert reason(server(stream=True, max_frame=1024), bytes.fromhex(head)) == "too_long"


def test_a_message_as_long_as_the_limit_is_taken_and_one_byte_more_is_not():
    array = msgpack.packb([7, 203, b"x" * 100])
    for stream, wire in ((True, framed(array)), (False, array)):
        assert len(server(stream=stream, max_frame=len(array)).receive(wire)) == 1
        assert reason(server(stream=stream, max_frame=len(array) - 1), wire) == "too_long"


def test_a_client_that_announces_the_longest_frame_and_stops_costs_nothing_yet():
    protocol = server(stream=True)
    assert protocol.receive(bytes.fromhex("00010000")) == []
    assert protocol.tail is not None
    assert sys.getsizeof(protocol.tail) < 200


def test_a_ping_is_answered_and_a_pong_is_not():
    for stream, frame in ((True, framed), (False, bytes)):
        protocol = server(stream=stream)
        assert protocol.receive(frame(msgpack.packb([None, "ping"]))) == []
        assert protocol.output == [frame(msgpack.packb([None, "pong"]))]
        protocol.output = None
        assert protocol.receive(frame(msgpack.packb([None, "pong"]))) == []
        assert protocol.output is None


def test_many_pings_in_one_piece_get_one_pong():
    protocol = server(stream=True)
    assert protocol.receive(framed(msgpack.packb([None, "ping"])) * 1000) == []
    assert len(protocol.output) == 1


def test_with_an_id_ping_is_a_command_like_any_other():
    assert server().receive(msgpack.packb([1, "ping"])) == [Request("ping", NIL, 1)]


def test_any_message_may_acknowledge_pushes_and_the_highest_counts():
    protocol = server()
    assert protocol.receive(msgpack.packb([None, "ack", None, 5])) == []
    assert protocol.receive(msgpack.packb([None, 203, None, 9])) == [Request(203, NIL)]
    assert protocol.receive(msgpack.packb([1, 203, None, None])) == [Request(203, NIL, 1)]
    assert protocol.receive(msgpack.packb([None, "pong", None, 7])) == []
    assert protocol.acknowledged == 9


def test_a_push_has_name_and_number_behind_its_body():
    for stream, head in ((True, 4), (False, 0)):
        protocol = server(stream=stream)
        frame = protocol.encode_push(2001, "world", msgpack.packb({"x": 1}))
        assert msgpack.unpackb(frame[head:]) == [None, 2001, {"x": 1}, "world"]
        numbered = protocol.number(frame, 70000)
        assert msgpack.unpackb(numbered[head:]) == [None, 2001, {"x": 1}, "world", 70000]
        if stream:
            assert int.from_bytes(numbered[:4], "big") == len(numbered) - 4
