"""The client's side of the `msgpack` format: one array a message, with its length before it on TCP."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgpack

from firefly_core.testing.client_wire import Answer, Goodbye, PushReceived

__all__ = ["MsgpackWire"]


class MsgpackWire:
    """`[id, cmd, body]` to the server; answers, errors and pushes from it."""

    text = False

    def __init__(self, *, stream: bool = True) -> None:
        self._stream = stream
        self._tail = b""

    def encode(self, number: int | None, command: int | str, body: Any) -> bytes:
        """Give `[number, command, body]`."""
        return self._frame(bytes(msgpack.packb([number, command, body])))

    def receive(self, data: bytes) -> list[Answer | PushReceived | Goodbye | bytes]:
        """Take a whole message, or on a stream whatever arrived."""
        arrays = self._arrays(data) if self._stream else [data]
        return [self._read(msgpack.unpackb(array)) for array in arrays]

    def _arrays(self, data: bytes) -> Iterator[bytes]:
        self._tail += data
        while len(self._tail) >= 4:
            (length,) = struct.unpack_from("!I", self._tail)
            if len(self._tail) < 4 + length:
                return
            array, self._tail = self._tail[4 : 4 + length], self._tail[4 + length :]
            yield array

    def _frame(self, array: bytes) -> bytes:
        return struct.pack("!I", len(array)) + array if self._stream else array

    def _read(self, message: list[Any]) -> Answer | PushReceived | Goodbye | bytes:
        match message:
            case [None, "ping", *_]:
                return self._frame(bytes(msgpack.packb([None, "pong"])))
            case [None, "goodbye", {"reason": reason}, *_]:
                return Goodbye(reason)
            case [None, command, body, name, *_]:
                return PushReceived(command, body, name)
            case [number, _, None, {"code": code, "message": text}, *_]:
                return Answer(number, None, code, text)
            case [number, _, body, *_]:
                return Answer(number, body)
        raise ValueError(f"not a message of the format: {message!r}")
