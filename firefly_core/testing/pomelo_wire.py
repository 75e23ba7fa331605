"""The client's side of the `pomelo` format: packages with messages in them, JSON bodies."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

from firefly_core.testing.client_wire import Answer, Goodbye, PushReceived

__all__ = ["PomeloWire"]

GREETING = {"sys": {"type": "firefly-test", "version": "1"}, "user": {}}


class PomeloWire:
    """Shakes hands before its first request; from the server's answer on it uses the dictionary of route codes."""

    text = False

    def __init__(self, *, opened: bool = False) -> None:
        self.codes: dict[str, int] = {}
        """What the server said: names and their codes."""
        self._opened = opened
        self._tail = b""

    def encode(self, number: int | None, command: int | str, body: Any) -> bytes:
        """Give a request, or a notify without a number; before the first, the handshake and its acknowledgement."""
        opening = b"" if self._opened else self._package(1, json.dumps(GREETING).encode()) + self._package(2, b"")
        self._opened = True
        message = b"\x02" if number is None else b"\x00" + self._digits(number)
        code = self.codes.get(command) if isinstance(command, str) else command
        if code is not None and code < 65536:
            message = bytes((message[0] | 1,)) + message[1:] + struct.pack("!H", code)
        else:
            route = str(command).encode()
            message += bytes((len(route),)) + route
        return opening + self._package(4, message + json.dumps(body).encode())

    def receive(self, data: bytes) -> list[Answer | PushReceived | Goodbye | bytes]:
        """Take what arrived. Heartbeats are not answered: a client does that some seconds later."""
        found: list[Answer | PushReceived | Goodbye | bytes] = []
        for kind, body in self._packages(data):
            if kind == 1:
                self.codes = json.loads(body)["sys"].get("dict", {})
            elif kind == 4:
                found.append(self._read(body))
            elif kind == 5:
                found.append(Goodbye(json.loads(body)["reason"]))
            elif kind != 3:
                raise ValueError(f"a server sends no package of type {kind}")
        return found

    def _read(self, message: bytes) -> Answer | PushReceived:
        kind = message[0] >> 1 & 7
        if kind == 2:
            number, at = 0, 1
            while True:
                number |= (message[at] & 0x7F) << 7 * (at - 1)
                at += 1
                if message[at - 1] < 0x80:
                    break
            body = json.loads(message[at:])
            if message[0] & 0x20:
                return Answer(number, None, body["error"]["code"], body["error"]["message"])
            return Answer(number, body)
        if kind != 3:
            raise ValueError(f"a server sends no message of kind {kind}")
        end = 2 + message[1]
        route = message[2:end].decode()
        command = int(route) if route.isdigit() else self.codes.get(route, 0)
        return PushReceived(command, json.loads(message[end:]), "" if route.isdigit() else route)

    def _packages(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        self._tail += data
        while len(self._tail) >= 4:
            end = 4 + int.from_bytes(self._tail[1:4], "big")
            if len(self._tail) < end:
                return
            kind, body, self._tail = self._tail[0], self._tail[4:end], self._tail[end:]
            yield kind, body

    def _package(self, kind: int, body: bytes) -> bytes:
        return struct.pack("!I", kind << 24 | len(body)) + body

    def _digits(self, number: int) -> bytes:
        digits = bytearray()
        while number > 127:
            digits.append(128 + number % 128)
            number //= 128
        return bytes((*digits, number))
