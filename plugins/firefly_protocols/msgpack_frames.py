"""The `msgpack` format: one MessagePack array a message; on TCP its length (u32, big endian) stands before it.

From the client: `[id, cmd, body]`, with an id of nil for a notify, which nobody answers; the body may be left out.
To the client: `[id, cmd, body]` or `[id, cmd, nil, {"code", "message"}]` for each id, and `[nil, cmd, body, name]` for
a push, with its number as a fifth element where pushes are numbered. A fourth element from the client is the highest
number that it has. With an id of nil, the commands `ping`, `pong`, `ack` and `goodbye` belong to the format itself.
Further elements are ignored, on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from firefly_core.errors import ProtocolError
from firefly_core.kernel.config.config import config
from firefly_core.wire.protocol import NO_NAMES, Limits, Protocol, Request

__all__ = ["MsgpackConfig", "MsgpackFrames"]

PREFIX = 4
OWN = ("ping", "pong", "ack", "goodbye")
"""What belongs to the format itself, without an id."""


class Message(msgspec.Struct, array_like=True, gc=False):
    """What a client may send. The body stays as it arrived, for the codec to read."""

    id: Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(max_length=64)] | None
    cmd: Annotated[int, Meta(ge=0, le=2**32 - 1)] | Annotated[str, Meta(min_length=1, max_length=128)]
    body: Raw = Raw(b"\xc0")
    ack: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None


decode = msgspec.msgpack.Decoder(Message).decode
encode = msgspec.msgpack.Encoder().encode


@config
class MsgpackConfig:
    """A listener that speaks msgpack has no keys of its own."""


class MsgpackFrames(Protocol):
    """One MessagePack array a message, with its length before it on TCP."""

    __slots__ = ("_need",)

    name = "msgpack"
    default_codec = "msgpack"
    codecs = frozenset({"msgpack"})
    resumable = True
    Config = MsgpackConfig

    def __init__(
        self, settings: MsgpackConfig, limits: Limits, *, stream: bool, names: Mapping[str, int] = NO_NAMES
    ) -> None:
        super().__init__(settings, limits, stream=stream, names=names)
        self._need = 0
        """How long `tail` must be before it is worth another look."""

    def receive(self, data: bytes) -> list[Request]:
        """Take a whole message, or on TCP what arrived. Pings are answered in `output`."""
        if self.failure is not None:
            raise self.failure
        requests: list[Request] = []
        pinged = False
        try:
            for array in self._frames(data) if self.stream else (data,):
                message = self._read(array)
                if message.ack is not None and message.ack > self.acknowledged:
                    self.acknowledged = message.ack
                if message.id is None and message.cmd in OWN:
                    if message.cmd == "goodbye":
                        raise ProtocolError("closed", "the client has said goodbye")
                    pinged = pinged or message.cmd == "ping"
                else:
                    requests.append(Request(message.cmd, bytes(message.body), message.id))
        except ProtocolError as error:
            self._fail(requests, error)
        if pinged:
            self._emit(self._frame(encode([None, "pong"])))
        return requests

    def _frames(self, data: bytes) -> Iterator[bytes]:
        """Give the arrays that are complete; a length is judged before anything behind it is kept."""
        if self.tail is not None:
            self.tail += data
            if len(self.tail) < self._need:
                return
            data = bytes(self.tail)
            self.tail = None
        size = len(data)
        start = 0
        while start < size:
            begin = start + PREFIX
            if begin > size:
                self._need = PREFIX
                break
            length = int.from_bytes(data[start:begin], "big")
            self._check_length(length)
            end = begin + length
            if end > size:
                self._need = end - start
                break
            yield data[begin:end]
            start = end
        if start < size:
            self.tail = bytearray(data[start:])

    def _check_length(self, length: int) -> None:
        if length > self.limits.max_frame:
            raise ProtocolError("too_long", f"a message of {length} bytes, {self.limits.max_frame} are allowed")
        if length == 0:
            raise ProtocolError("bad_length", "a message of no bytes")

    def _read(self, array: bytes) -> Message:
        if not self.stream:
            self._check_length(len(array))
        try:
            return decode(array)
        except msgspec.ValidationError as error:
            raise ProtocolError("bad_message", str(error)) from None
        except (ValueError, RecursionError) as error:
            raise ProtocolError("bad_msgpack", str(error)) from None

    def _frame(self, array: bytes) -> bytes:
        return len(array).to_bytes(PREFIX, "big") + array if self.stream else array

    def encode_reply(self, request: Request, body: bytes) -> bytes:
        return self._frame(b"\x93%b%b%b" % (encode(request.request_id), encode(request.command), body))

    def encode_error(self, request: Request, code: str, message: str, body: bytes) -> bytes:  # noqa: ARG002
        error = {"code": code, "message": message}
        return self._frame(encode([request.request_id, request.command, None, error]))

    def encode_push(self, command: int, name: str, body: bytes) -> bytes:
        return self._frame(b"\x94\xc0%b%b%b" % (encode(command), body, encode(name)))

    def number(self, frame: bytes, seq: int) -> bytes:
        array = frame[PREFIX:] if self.stream else frame
        return self._frame(b"\x95%b%b" % (array[1:], encode(seq)))

    def encode_goodbye(self, reason: str) -> bytes:
        return self._frame(encode([None, "goodbye", {"reason": reason}]))

    def encode_heartbeat(self) -> bytes:
        return self._frame(encode([None, "ping"]))
