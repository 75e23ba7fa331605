"""The client's side of a wire format: pure bytes, as the server's side is.

A FakeClient takes any object of this shape, so a plugin that adds a protocol tests it by writing its client side.
"""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import attrs
import msgpack

__all__ = ["Answer", "ClientWire", "DatapackWire", "Goodbye", "JsonWire", "PushReceived"]


@attrs.frozen
class Answer:
    """What the server answers to one request: a body, or an error's code and message."""

    number: int
    """The request's number, as given to `encode`."""
    body: Any = None
    code: str | None = None
    message: str = ""


@attrs.frozen
class PushReceived:
    """What the server sent unasked."""

    command: int
    body: Any = None
    name: str = ""


@attrs.frozen
class Goodbye:
    """The server's last words before it closes."""

    reason: str


class ClientWire(Protocol):
    """One connection's client side of a format."""

    text: bool
    """Whether its messages travel as WebSocket text."""

    def encode(self, number: int | None, command: int | str, body: Any) -> bytes:
        """Give the bytes of a request; without a number nobody waits for an answer."""

    def receive(self, data: bytes) -> Sequence[Answer | PushReceived | Goodbye | bytes]:
        """Take what arrived and give what is complete; bytes are the format's own reply, to be sent back."""


class JsonWire:
    """The `json` format: one object a line, or one a WebSocket message."""

    text = True

    def __init__(self, *, stream: bool = True) -> None:
        self._stream = stream
        self._tail = b""

    def encode(self, number: int | None, command: int | str, body: Any) -> bytes:
        """Give `{"id", "cmd", "body"}`; the id is left out without a number."""
        message = {"cmd": command, "body": body} if number is None else {"id": number, "cmd": command, "body": body}
        return json.dumps(message).encode() + self._end

    def receive(self, data: bytes) -> list[Answer | PushReceived | Goodbye | bytes]:
        """Take a whole message, or on a stream whatever arrived."""
        if not self._stream:
            return [self._read(json.loads(data))]
        *lines, self._tail = (self._tail + data).split(b"\n")
        return [self._read(json.loads(line)) for line in lines if line.strip()]

    @property
    def _end(self) -> bytes:
        return b"\n" if self._stream else b""

    def _read(self, message: dict[str, Any]) -> Answer | PushReceived | Goodbye | bytes:
        if "id" in message:
            error = message.get("error")
            if error is None:
                return Answer(message["id"], message.get("body"))
            return Answer(message["id"], None, error["code"], error["message"])
        if message["cmd"] == "ping":
            return b'{"cmd":"pong"}' + self._end
        if message["cmd"] == "goodbye":
            return Goodbye(message["body"]["reason"])
        return PushReceived(message["cmd"], message.get("body"), message.get("name", ""))


class DatapackWire:
    """The `datapack` format: a header of 17 bytes, then the body in the listener's codec.

    It has no request ids: a frame answers the oldest open request if it has that one's command, else it is a push.
    """

    text = False

    def __init__(
        self, *, header: Sequence[int] = (0, 0, 0, 0, 0, 0), codec: str = "json", error_command: int | None = None
    ) -> None:
        self._fixed = struct.pack("!5BI", *header)
        self._codec = codec
        self._error_command = error_command
        self._tail = b""
        self._open: deque[tuple[int | None, int | str]] = deque()

    def encode(self, number: int | None, command: int | str, body: Any) -> bytes:
        """Give header and body; every request is answered, also one without a number."""
        if isinstance(command, str):
            raise TypeError(f"datapack has command ids, not names: {command!r}")
        self._open.append((number, command))
        packed = self._pack(body)
        return self._fixed + struct.pack("!II", len(packed) + 4, command) + packed

    def receive(self, data: bytes) -> list[Answer | PushReceived | Goodbye | bytes]:
        """Take whatever arrived."""
        self._tail += data
        found: list[Answer | PushReceived | Goodbye | bytes] = []
        for command, body in self._frames():
            if self._open and command in (self._open[0][1], self._error_command):
                number, _ = self._open.popleft()
                if number is not None:
                    found.append(_answer(number, body))
            else:
                found.append(PushReceived(command, body))
        return found

    def _frames(self) -> Iterator[tuple[int, Any]]:
        while len(self._tail) >= 17:
            if not self._tail.startswith(self._fixed):
                raise ValueError(f"a header that is not ours: {self._tail[:17].hex(' ')}")
            length, command = struct.unpack_from("!II", self._tail, 9)
            end = 13 + length
            if len(self._tail) < end:
                return
            body, self._tail = self._tail[17:end], self._tail[end:]
            yield command, self._unpack(body)

    def _pack(self, body: Any) -> bytes:
        if self._codec == "raw":
            return body or b""
        if self._codec == "msgpack":
            return bytes(msgpack.packb(body))
        return json.dumps(body).encode()

    def _unpack(self, body: bytes) -> Any:
        if self._codec == "raw":
            return body
        if self._codec == "msgpack":
            return msgpack.unpackb(body)
        return json.loads(body) if body else None


def _answer(number: int, body: Any) -> Answer:
    # The format has one kind of frame: an error is a body of just this shape.
    if isinstance(body, dict) and body.keys() == {"error"} and body["error"].keys() >= {"code", "message"}:
        return Answer(number, None, body["error"]["code"], body["error"]["message"])
    return Answer(number, body)
