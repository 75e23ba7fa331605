"""The `json` format: one JSON object a message, as WebSocket text, or as a line on TCP."""

from __future__ import annotations

import json
from typing import Any

from firefly_client.errors import BadMessage
from firefly_client.wire import MAX_MESSAGE, Answer, Control, Message, Push, error_of

__all__ = ["JsonText"]

write = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode


class JsonText:
    """A client's side of `json`."""

    resumable = True
    controls = True
    text = True

    def __init__(self) -> None:
        self.reset(stream=True)

    def reset(self, *, stream: bool) -> None:
        """Begin with a new connection."""
        self._stream = stream
        self._tail = bytearray()

    def encode_body(self, body: Any) -> bytes:
        """Give the JSON of a body; raises TypeError or ValueError for what JSON has no word for, NaN among it."""
        return write(body).encode()

    def encode(self, identity: int | None, command: int | str, body: bytes, ack: int) -> bytes:
        """Give a message."""
        parts = [b'"cmd":%b,"body":%b' % (write(command).encode(), body)]
        if identity is not None:
            parts.insert(0, b'"id":%d' % identity)
        if ack:
            parts.append(b'"ack":%d' % ack)
        return b"{%b}%b" % (b",".join(parts), b"\n" if self._stream else b"")

    def receive(self, data: bytes) -> list[Message]:
        """Take a whole message, or on TCP what arrived; raises BadMessage."""
        if not self._stream:
            return [_read(data)]
        searched = len(self._tail)
        self._tail += data
        end = self._tail.rfind(b"\n", searched)
        if end < 0:
            if len(self._tail) > MAX_MESSAGE:
                raise BadMessage(f"a line over {MAX_MESSAGE} bytes")
            return []
        lines = bytes(self._tail[:end]).split(b"\n")
        del self._tail[: end + 1]
        return [_read(line) for line in lines if line.strip()]


def _read(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadMessage(str(error)) from None
    if not isinstance(message, dict):
        raise BadMessage("a message must be an object")
    identity, command = message.get("id"), message.get("cmd")
    if isinstance(identity, int):
        fault = message.get("error")
        return Answer(identity, message.get("body"), None if fault is None else error_of(fault))
    if isinstance(command, int):
        seq = message.get("seq")
        return Push(command, str(message.get("name", "")), message.get("body"), seq if isinstance(seq, int) else 0)
    if isinstance(command, str):
        body = message.get("body")
        return Control(command, str(body.get("reason", "")) if isinstance(body, dict) else "")
    raise BadMessage("a message needs an id or a cmd")
