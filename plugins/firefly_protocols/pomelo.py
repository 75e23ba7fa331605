"""The `pomelo` format, which the clients of Pomelo, Pinus, Pitaya and nano speak: packages, and messages in them.

A package is a type (one byte), a length (three bytes, big endian) and a body:

1. the client's handshake (1) is answered with the heartbeat's interval and the dictionary of names and ids
2. its acknowledgement (2) is answered with the first heartbeat; from then on it may send messages
3. a heartbeat (3) is answered with one; data (4) holds a message; a kick (5) is the server's goodbye

A message is a flag byte (bit 0: the route is a code; bits 1 to 3: request, notify, response, push; bit 5: an error),
the id of a request or response (base 128, least digit first), the route of a request, notify or push (a length byte and
the command's name, or its id in two bytes), and the body. Compressed bodies are refused.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from firefly_core.errors import ProtocolError
from firefly_core.kernel.config.config import boolean, config, integer, key
from firefly_core.wire.protocol import NO_NAMES, Limits, Protocol, Request

__all__ = ["Pomelo", "PomeloConfig"]

HANDSHAKE, ACKNOWLEDGEMENT, HEARTBEAT, DATA, KICK = 1, 2, 3, 4, 5
HEADER = 4
LONGEST_BODY = 0xFFFFFF - 16
"""What a package holds beside a message's flag and id."""
TOO_LONG = b'{"code":"internal","msg":"too long","error":{"code":"internal","message":"too long"}}'

REQUEST, NOTIFY, RESPONSE, PUSH = 0, 1, 2, 3
CODED = 0x01
KIND = 0x0E
COMPRESSED = 0x10
ERROR = 0x20
LARGEST_CODE = 0xFFFF
LONGEST_ROUTE = 0xFF
LONGEST_ID = 9

BEAT = bytes((HEARTBEAT, 0, 0, 0))

encode = msgspec.json.Encoder().encode
decode_handshake = msgspec.json.Decoder(dict[str, Any]).decode


class State(enum.IntEnum):
    """How far the handshake is."""

    NEW = 0
    GREETED = 1
    WORKING = 2


@config
class PomeloConfig:
    """The keys of a listener that speaks pomelo."""

    heartbeat: int = key(integer(1, 3600), "seconds between a client's heartbeats; it gives up after twice that", 10)
    protos: bool = key(boolean(), "send the empty `protos` that pomelo-node-tcp-client needs", default=False)


def package(kind: int, body: bytes) -> bytes:
    """Give a package; raises OverflowError for a body over 16 MiB."""
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


class Pomelo(Protocol):
    """The packages and messages that clients of Pomelo, Pinus, Pitaya and nano speak."""

    __slots__ = ("_need", "_state")

    name = "pomelo"
    Config = PomeloConfig

    def __init__(
        self, settings: PomeloConfig, limits: Limits, *, stream: bool, names: Mapping[str, int] = NO_NAMES
    ) -> None:
        super().__init__(settings, limits, stream=stream, names=names)
        self._state = State.NEW
        self._need = 0
        """How long `tail` must be before it is worth another look."""

    def receive(self, data: bytes) -> list[Request]:
        """Take what arrived, on WebSocket one or more whole packages. Handshake and heartbeats go to `output`."""
        if self.failure is not None:
            raise self.failure
        requests: list[Request] = []
        beats = False
        try:
            for kind, body in self._packages(data):
                if kind == DATA:
                    requests.append(read_message(body))
                elif kind == HEARTBEAT:
                    beats = True
                elif kind == HANDSHAKE:
                    self._greet(body)
                elif self._state is State.GREETED:
                    self._state = State.WORKING
                    beats = True
        except ProtocolError as error:
            self._fail(requests, error)
        if beats:
            self._emit(BEAT)
        return requests

    def _packages(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Give the packages that are complete; type and length are judged before anything behind them is kept."""
        if self.tail is not None:
            self.tail += data
            if len(self.tail) < self._need:
                return
            data = bytes(self.tail)
            self.tail = None
        size = len(data)
        start = 0
        while start < size:
            self._judge(data[start])
            begin = start + HEADER
            if begin > size:
                self._need = HEADER
                break
            length = int.from_bytes(data[start + 1 : begin], "big")
            if length > self.limits.max_frame:
                raise ProtocolError("too_long", f"a package of {length} bytes, {self.limits.max_frame} are allowed")
            end = begin + length
            if end > size:
                self._need = end - start
                break
            yield data[start], data[begin:end]
            start = end
        if start < size:
            if not self.stream:
                raise ProtocolError("truncated", "the message ends inside a package")
            self.tail = bytearray(data[start:])

    def _judge(self, kind: int) -> None:
        """Raise ProtocolError if a package of this type may not come now."""
        if not HANDSHAKE <= kind <= DATA:
            raise ProtocolError("bad_type", f"a client sends no package of type {kind}")
        if self._state is State.NEW:
            if kind != HANDSHAKE:
                raise ProtocolError("no_handshake", "the first package must be a handshake")
        elif kind == HANDSHAKE:
            raise ProtocolError("bad_handshake", "the handshake was done before")
        elif kind == DATA and self._state is not State.WORKING:
            raise ProtocolError("no_handshake", "the handshake must be acknowledged first")

    def _greet(self, body: bytes) -> None:
        """Answer the handshake; what the client says of itself is not needed."""
        try:
            decode_handshake(body)
        except (ValueError, RecursionError) as error:
            self._emit(package(HANDSHAKE, encode({"code": 500})))
            raise ProtocolError("bad_handshake", str(error)) from None
        system: dict[str, Any] = {"heartbeat": self.settings.heartbeat}
        codes = {name: code for name, code in self.names.items() if 0 < code <= LARGEST_CODE}
        if codes:
            system["dict"] = codes
        if self.settings.protos:
            system["protos"] = {"client": {}, "server": {}, "version": 0}
        self._emit(package(HANDSHAKE, encode({"code": 200, "sys": system, "user": {}})))
        self._state = State.GREETED

    def encode_reply(self, request: Request, body: bytes) -> bytes:
        return self._response(RESPONSE << 1, request, body)

    def encode_error(self, request: Request, code: str, message: str, body: bytes) -> bytes:
        if body.startswith(b"{"):
            # Pitaya's clients look for `code` and `msg` in what carries the error bit, Pomelo's for `code`.
            body = b'{"code":%b,"msg":%b,%b' % (encode(code), encode(message), body[1:])
        return self._response(RESPONSE << 1 | ERROR, request, body)

    def _response(self, flag: int, request: Request, body: bytes) -> bytes:
        identity = request.request_id
        if not isinstance(identity, int):
            return b""
        if len(body) > LONGEST_BODY:
            flag, body = RESPONSE << 1 | ERROR, TOO_LONG
        return package(DATA, bytes((flag,)) + write_id(identity) + body)

    def encode_push(self, command: int, name: str, body: bytes) -> bytes:
        """Give the push's frame; without a name, or with one over 255 bytes, the route is the id in digits."""
        route = name.encode()
        if not 0 < len(route) <= LONGEST_ROUTE:
            route = b"%d" % command
        return package(DATA, bytes((PUSH << 1, len(route))) + route + body)

    def encode_goodbye(self, reason: str) -> bytes:
        return package(KICK, encode({"reason": reason}))

    def encode_heartbeat(self) -> bytes:
        return BEAT if self._state is State.WORKING else b""


def write_id(identity: int) -> bytes:
    """Write an id in base 128, the least digit first; all but the last have bit 7 set."""
    digits = bytearray()
    while identity > 0x7F:
        digits.append(identity & 0x7F | 0x80)
        identity >>= 7
    digits.append(identity)
    return bytes(digits)


def read_message(message: bytes) -> Request:
    """Read a client's request or notify; raises ProtocolError."""
    if not message:
        raise ProtocolError("bad_message", "an empty message")
    flag = message[0]
    if flag & COMPRESSED:
        raise ProtocolError("compressed", "compressed bodies are not taken")
    kind = (flag & KIND) >> 1
    if kind not in (REQUEST, NOTIFY) or flag & ~(KIND | CODED):
        raise ProtocolError("bad_message", f"a client sends no message with the flag {flag:#04x}")
    identity, at = (None, 1) if kind == NOTIFY else read_id(message)
    if flag & CODED:
        if len(message) < at + 2:
            raise ProtocolError("bad_route", "the message ends inside its route")
        return Request(int.from_bytes(message[at : at + 2], "big"), message[at + 2 :], identity)
    end = at + 1 + message[at] if at < len(message) else at
    route = message[at + 1 : end]
    if not route or end > len(message):
        raise ProtocolError("bad_route", "a message without a route, or one that ends inside it")
    return Request(read_route(route), message[end:], identity)


def read_id(message: bytes) -> tuple[int, int]:
    """Read the id behind the flag, and where it ends; raises ProtocolError."""
    identity = 0
    for at in range(1, min(len(message), LONGEST_ID + 1)):
        identity |= (message[at] & 0x7F) << 7 * (at - 1)
        if message[at] < 0x80:
            return identity, at + 1
    raise ProtocolError("bad_id", f"an id ends within {LONGEST_ID} bytes")


def read_route(route: bytes) -> int | str:
    """Give the command's name, or its id where that is what the route says; raises ProtocolError."""
    try:
        name = route.decode()
    except UnicodeDecodeError as error:
        raise ProtocolError("bad_route", str(error)) from None
    if name.isascii() and name.isdigit() and len(name) <= 10 and int(name) < 2**32:
        return int(name)
    return name
