"""What is thrown at every parser of bytes from outside, and what must hold then.

A target takes any bytes. It returns when every promise held and raises when one was broken; `SEEDS` are inputs that get
it going. `run.py` drives them for minutes, `test_fuzz.py` for a moment.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import attrs
import msgpack
from firefly_gate.deflate_layer import DeflateLayer, deflate
from firefly_gate.upgrade import Refused, take
from firefly_gate.websocket import WebSocketLayer
from firefly_protocols.datapack import Datapack
from firefly_protocols.json_codec import JsonCodec
from firefly_protocols.json_text import JsonText
from firefly_protocols.msgpack_codec import MsgpackCodec
from firefly_protocols.msgpack_frames import MsgpackFrames
from firefly_protocols.pomelo import Pomelo

from firefly_core.errors import PayloadError, ProtocolError
from firefly_core.kernel.config.config import read_alone
from firefly_core.wire.bounds import CLIENT
from firefly_core.wire.codec import Codec
from firefly_core.wire.envelope import STRANGER, Decoder, peer_caps
from firefly_core.wire.protocol import Limits, Protocol, Request

LIMIT = 4096
HEADER = [78, 37, 38, 48, 9, 5]
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
OFFER = HANDSHAKE[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
POMELO_OPENING = b"\x01\x00\x00\x02{}\x02\x00\x00\x00"


@attrs.frozen
class Move:
    """A class as a handler would declare it."""

    x: float
    tags: list[str] = attrs.field(factory=list)
    more: Any = None


def cut(data: bytes) -> tuple[bytes, list[bytes]]:
    """Take the first byte as the place at which the rest is cut; give the rest whole and in two pieces."""
    wire = data[1:]
    at = data[0] * len(wire) // 255 if data else 0
    return wire, [wire[:at], wire[at:]]


def fed(receive: Callable[[bytes], Iterable[Any]], pieces: Iterable[bytes]) -> tuple[list[Any], str | None]:
    """Feed the pieces; give what came of them, and the reason of the refusal that ended it."""
    found: list[Any] = []
    reason = None
    try:
        for piece in (*pieces, b""):
            for result in receive(piece):  # a loop, so that what comes before a refusal is kept
                found.append(result)  # noqa: PERF402
    except ProtocolError as error:
        reason = error.reason
    assert reason is None or reason.isidentifier()
    return found, reason


def protocol_target(kind: type[Protocol], keys: dict[str, Any], opening: bytes = b"") -> Callable[[bytes], None]:
    """Make the target of a wire format: only requests or a refusal, the same however the bytes are cut."""
    settings = read_alone(kind.Config, keys)

    def connection(*, stream: bool) -> Protocol:
        protocol = kind(settings, Limits(LIMIT), stream=stream)
        if opening:
            protocol.receive(opening)
        return protocol

    def run(data: bytes) -> None:
        wire, pieces = cut(data)
        whole = connection(stream=True)
        requests, refused = fed(whole.receive, [wire])
        again, refused_again = fed(connection(stream=True).receive, pieces)
        assert requests == again
        assert (refused is None) is (refused_again is None)
        for request in requests:
            assert isinstance(request, Request)
            assert type(request.body) is bytes
            assert len(request.body) <= LIMIT
            assert whole.encode_reply(request, b"{}") or request.request_id is None
        for frame in whole.output or ():
            assert len(frame) < LIMIT
        message = connection(stream=False)
        try:
            message.receive(wire)
        except ProtocolError:
            assert message.failure is not None

    return run


def websocket_target(kind: type[WebSocketLayer]) -> Callable[[bytes], None]:
    """Make the target of an open WebSocket: only messages or an orderly end, the same however the bytes are cut."""

    def run(data: bytes) -> None:
        wire, pieces = cut(data)
        results = []
        for parts in ([wire], pieces):
            layer = kind(Limits(LIMIT))
            layer.receive(OFFER)
            results.append(fed(layer.receive, parts))
            assert sum(map(len, layer.take_output())) <= 17 * 127 + 400
            assert layer.open is (results[-1][1] is None)
        assert results[0] == results[1]
        for message in results[0][0]:
            assert len(message) <= LIMIT

    return run


def upgrade(data: bytes) -> None:
    """The opening request of a WebSocket: an answer, a refusal, or more is needed."""
    refusal = taken = None
    try:
        taken = take(data, "/", ("http://a", "none"), compression=True)
    except Refused as refused:
        refusal = refused.response
    if refusal is not None:
        assert refusal.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    elif taken is None:
        assert len(data) < 8192
    else:
        assert taken[0].answer.startswith(b"HTTP/1.1 101 ")


def codec_target(codec: Codec) -> Callable[[bytes], None]:
    """Make the target of a codec: a value within the caps that comes back when it is encoded, or a PayloadError."""
    decoders = [codec.decoder(kind) for kind in (Any, dict, Move, list[int], dict[str, Any] | None)]

    def run(data: bytes) -> None:
        for at, decode in enumerate(decoders):
            try:
                value = decode(data)
            except PayloadError:
                continue
            if at < 2:
                CLIENT.check(value)
            if not isinstance(value, bytes):  # those are a body, not a value
                assert decode(codec.encode(value)) == value

    return run


def envelope(data: bytes) -> None:
    """MessagePack-RPC: only messages of its three shapes or a refusal, the same however the bytes are cut."""
    wire, pieces = cut(data)
    for caps in (STRANGER, peer_caps(LIMIT)):
        results = [fed(partial(called, Decoder(caps)), parts) for parts in ([wire], pieces)]
        # By their texts, because NaN is not equal to itself. A frame may be too long before it is seen to be malformed.
        assert repr(results[0][0]) == repr(results[1][0])
        assert (results[0][1] is None) is (results[1][1] is None)
        for message in results[0][0]:
            assert (message[0], len(message)) in ((0, 5), (1, 4), (2, 4))


def called(decoder: Decoder, piece: bytes) -> Iterator[list[Any]]:
    decoder.feed(piece)
    yield from decoder.messages()


def datapack(command: int, body: bytes) -> bytes:
    return struct.pack("!5B3I", *HEADER, len(body) + 4, command) + body


def masked(first: int, payload: bytes) -> bytes:
    mask = b"\x37\xfa\x21\x3d"
    length = bytes((0x80 | len(payload),)) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes((first,)) + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


VALUES: list[Any] = [None, 7, -1, 1.5, "ü", [1, [2, [3]]], {"x": 1.5, "tags": ["a"], "more": {"y": [None]}}, "x" * 200]
MESSAGES: list[Any] = [[7, 203, {"x": 1}], [None, "ping"], ["a", "catch", None, 5]]
CALLS: list[Any] = [[0, 1, "m", [1, {"a": 2}]], [1, 1, None, [2]], [2, "n", []], [0, 2, "m", [], {"deadline": 9}]]
ARRAYS = [msgpack.packb(message) for message in MESSAGES]
LINES = [b'{"id":7,"cmd":203,"body":{"x":1}}\n', b'{"cmd":"ping"}\n', b'\r\n{"id":"a","cmd":"catch","ack":5}\n']
FRAMES = [masked(0x81, b"{}"), masked(0x82, b"x" * 130), masked(0x01, b"a") + masked(0x89, b"p") + masked(0x80, b"b")]
FRAMES += [masked(0x88, b"\x03\xe8bye"), masked(0x8A, b""), masked(0x81, "ü🔥".encode())]
PACKED = [masked(0xC1, deflate(b"{}" * 99, 15)), masked(0xC2, deflate(bytes(9000), 12)), masked(0x41, b""), FRAMES[0]]
PACKAGES = [
    bytes.fromhex("0400000f00070563617463687b2278223a317d"),
    bytes.fromhex("0400000701ac0200cb7b7d"),
    b"\3\0\0\0",
]

TARGETS: dict[str, Callable[[bytes], None]] = {
    "datapack": protocol_target(Datapack, {"header": HEADER}),
    "json": protocol_target(JsonText, {}),
    "msgpack": protocol_target(MsgpackFrames, {}),
    "pomelo": protocol_target(Pomelo, {}, POMELO_OPENING),
    "pomelo_opening": protocol_target(Pomelo, {}),
    "json_codec": codec_target(JsonCodec()),
    "msgpack_codec": codec_target(MsgpackCodec()),
    "websocket": websocket_target(WebSocketLayer),
    "websocket_deflate": websocket_target(DeflateLayer),
    "upgrade": upgrade,
    "envelope": envelope,
}
SEEDS: dict[str, list[bytes]] = {
    "datapack": [b"\x80" + datapack(203, b"{}") + datapack(101, b'{"name":"Ada"}')],
    "json": [b"\x80" + line for line in [*LINES, b"".join(LINES)]],
    "msgpack": [b"\x80" + struct.pack("!I", len(array)) + array for array in ARRAYS],
    "pomelo": [b"\x80" + part for part in [*PACKAGES, b"".join(PACKAGES)]],
    "pomelo_opening": [b"\x80" + POMELO_OPENING + PACKAGES[0]],
    "json_codec": [json.dumps(value).encode() for value in VALUES],
    "msgpack_codec": [msgpack.packb(value) for value in [*VALUES, {"more": {math.nan: 1, (1, 2): 3}}]],
    "websocket": [b"\x80" + part for part in [*FRAMES, b"".join(FRAMES[:3])]],
    "websocket_deflate": [b"\x80" + part for part in [*PACKED, b"".join(PACKED)]],
    "upgrade": [HANDSHAKE, OFFER, HANDSHAKE.replace(b"Host", b"Origin")],
    "envelope": [b"\x80" + msgpack.packb(call) for call in CALLS],
}
