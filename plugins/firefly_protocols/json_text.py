"""The `json` format: one JSON object a message, as WebSocket text, or as a line on TCP.

From the client: `{"id": 7, "cmd": 203 | "catch", "body": ...}`; without `id` it is a notify, which nobody answers.
To the client: `{"id": 7, "cmd": 203, "body": ...}` or `{"id": 7, "error": {"code", "message"}}` for each id, and
`{"cmd": 2001, "name": "world", "body": ...}` for a push, with `seq` where pushes are numbered. Any message of the
client may carry `ack`, the highest `seq` that it has. Without `id`, the commands `ping`, `pong`, `ack` and `goodbye`
belong to the format itself. Fields that are not known are ignored, on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from firefly_core.errors import ProtocolError
from firefly_core.kernel.config.config import config
from firefly_core.wire.protocol import NO_NAMES, Limits, Protocol, Request

__all__ = ["JsonConfig", "JsonText"]

PING = b'{"cmd":"ping"}'
PONG = b'{"cmd":"pong"}'
BLANK = b" \t\r"
OWN = ("ping", "pong", "ack", "goodbye")
"""What belongs to the format itself, without an id."""


class Message(msgspec.Struct, gc=False):
    """What a client may send. The body stays as it arrived, for the codec to read."""

    cmd: Annotated[int, Meta(ge=0, le=2**32 - 1)] | Annotated[str, Meta(min_length=1, max_length=128)]
    id: Annotated[int, Meta(ge=0, le=2**63 - 1)] | Annotated[str, Meta(max_length=64)] | None = None
    body: Raw = Raw(b"null")
    ack: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


decode = msgspec.json.Decoder(Message).decode
encode = msgspec.json.Encoder().encode


@config
class JsonConfig:
    """A listener that speaks json has no keys of its own."""


class JsonText(Protocol):
    """One JSON object a message: as WebSocket text, or as a line on TCP."""

    __slots__ = ("_end",)

    name = "json"
    codecs = frozenset({"json"})
    text = True
    resumable = True
    Config = JsonConfig

    def __init__(
        self, settings: JsonConfig, limits: Limits, *, stream: bool, names: Mapping[str, int] = NO_NAMES
    ) -> None:
        super().__init__(settings, limits, stream=stream, names=names)
        self._end = b"\n" if stream else b""

    def receive(self, data: bytes) -> list[Request]:
        """Take a whole message, or on TCP what arrived: empty lines are ignored. Pings are answered in `output`."""
        if self.failure is not None:
            raise self.failure
        requests: list[Request] = []
        pinged = False
        fault: ProtocolError | None = None
        longest = self.limits.max_frame
        try:
            for line in self._lines(data) if self.stream else (data,):
                if len(line) > longest:  # looked at here, because the call costs each message 40 ns
                    self._check_length(line)
                if not line.isascii():
                    # The decoder looks at what it needs only, and the body's bytes may go on to other clients as text.
                    line.decode()
                message = decode(line)
                identity, command = message.id, message.cmd
                if message.ack > self.acknowledged:
                    self.acknowledged = message.ack
                if identity is None and command in OWN:
                    if command == "goodbye":
                        raise ProtocolError("closed", "the client has said goodbye")
                    pinged = pinged or command == "ping"
                else:
                    requests.append(Request(command, bytes(message.body), identity))
        except ProtocolError as error:
            fault = error
        except msgspec.ValidationError as error:
            fault = ProtocolError("bad_message", str(error))
        except (ValueError, RecursionError) as error:
            fault = ProtocolError("bad_json", str(error))
        if fault is not None:
            # Not where it was caught: the decoder's error, which holds what had arrived, would be its context.
            self._fail(requests, fault)
        if pinged:
            self._emit(PONG + self._end)
        return requests

    def _lines(self, data: bytes) -> Iterator[bytes]:
        """Give the lines that are complete, without empty ones; keep what is begun."""
        if self.tail is not None:
            self.tail += data
            if b"\n" not in data:
                self._check_length(self.tail)
                return
            data = bytes(self.tail)
            self.tail = None
        lines = data.split(b"\n")
        rest = lines.pop()
        for line in lines:
            line = line.strip(BLANK)
            if line:
                yield line
        rest = rest.lstrip(BLANK)
        if rest:
            if not rest.startswith(b"{"):
                raise ProtocolError("bad_json", "a line must be one JSON object")
            self._check_length(rest)
            self.tail = bytearray(rest)

    def _check_length(self, line: bytes | bytearray) -> None:
        if len(line) > self.limits.max_frame:
            raise ProtocolError("too_long", f"a message over {self.limits.max_frame} bytes")

    def encode_reply(self, request: Request, body: bytes) -> bytes:
        identity, command = request.request_id, request.command
        if identity.__class__ is int and command.__class__ is int:
            return b'{"id":%d,"cmd":%d,"body":%b}%b' % (identity, command, self._one_line(body), self._end)
        return b'{"id":%b,"cmd":%b,"body":%b}%b' % (encode(identity), encode(command), self._one_line(body), self._end)

    def encode_error(self, request: Request, code: str, message: str, body: bytes) -> bytes:  # noqa: ARG002
        error = encode({"code": code, "message": message})
        return b'{"id":%b,"error":%b}%b' % (encode(request.request_id), error, self._end)

    def encode_push(self, command: int, name: str, body: bytes) -> bytes:
        return b'{"cmd":%d,"name":%b,"body":%b}%b' % (command, encode(name), self._one_line(body), self._end)

    def number(self, frame: bytes, seq: int) -> bytes:
        return b'{"seq":%d,%b' % (seq, frame[1:])

    def encode_goodbye(self, reason: str) -> bytes:
        return b'{"cmd":"goodbye","body":{"reason":%b}}%b' % (encode(reason), self._end)

    def encode_heartbeat(self) -> bytes:
        return PING + self._end

    def _one_line(self, body: bytes) -> bytes:
        """Give `body` without line feeds: in JSON they can only stand between its parts."""
        if self._end and b"\n" in body:
            return body.replace(b"\n", b" ")
        return body
