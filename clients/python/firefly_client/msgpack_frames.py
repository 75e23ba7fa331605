"""The `msgpack` format: one MessagePack array a message; on TCP its length (u32, big endian) stands before it."""

from __future__ import annotations

from typing import Any

from firefly_client.errors import BadMessage
from firefly_client.wire import MAX_MESSAGE, Answer, Control, Message, Push, error_of

__all__ = ["MsgpackFrames"]

PREFIX = 4


class MsgpackFrames:
    """A client's side of `msgpack`; needs the package msgpack (`pip install firefly-client[msgpack]`)."""

    resumable = True
    controls = True
    text = False

    def __init__(self) -> None:
        import msgpack

        self._pack: Any = msgpack.packb
        self._unpack: Any = msgpack.unpackb
        self.reset(stream=True)

    def reset(self, *, stream: bool) -> None:
        """Begin with a new connection."""
        self._stream = stream
        self._tail = bytearray()

    def encode_body(self, body: Any) -> bytes:
        """Give the MessagePack of a body; raises TypeError or ValueError for what it has no form for."""
        return bytes(self._pack(body))

    def encode(self, identity: int | None, command: int | str, body: bytes, ack: int) -> bytes:
        """Give a message."""
        head = (b"\x94" if ack else b"\x93") + self._pack(identity) + self._pack(command)
        array = head + body + (self._pack(ack) if ack else b"")
        return bytes(len(array).to_bytes(PREFIX, "big") + array if self._stream else array)

    def receive(self, data: bytes) -> list[Message]:
        """Take a whole message, or on TCP what arrived; raises BadMessage."""
        if not self._stream:
            return [self._read(data)]
        tail = self._tail
        tail += data
        messages: list[Message] = []
        start = 0
        while len(tail) - start >= PREFIX:
            length = int.from_bytes(tail[start : start + PREFIX], "big")
            if not 0 < length <= MAX_MESSAGE:
                raise BadMessage(f"a message of {length} bytes")
            end = start + PREFIX + length
            if end > len(tail):
                break
            messages.append(self._read(bytes(tail[start + PREFIX : end])))
            start = end
        del tail[:start]
        return messages

    def _read(self, array: bytes) -> Message:
        try:
            message = self._unpack(array, strict_map_key=False)
        except Exception as error:  # the package raises nearly anything for bytes that are none of its own
            raise BadMessage(f"not MessagePack: {error}") from None
        if not isinstance(message, list) or len(message) < 2:
            raise BadMessage("a message must be an array of two or more")
        identity, command, body, fourth, fifth = [*message, None, None, None][:5]
        if isinstance(identity, int):
            return Answer(identity, body, None if fourth is None else error_of(fourth))
        if isinstance(command, int):
            return Push(
                command, fourth if isinstance(fourth, str) else "", body, fifth if isinstance(fifth, int) else 0
            )
        if isinstance(command, str):
            return Control(command, str(body.get("reason", "")) if isinstance(body, dict) else "")
        raise BadMessage("a message needs an id or a command")
