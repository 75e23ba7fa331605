"""A client of the meadow in plain Python: the `datapack` wire format on TCP, with JSON in it.

Everything that a program needs to play stands in this file; write the same in another language and you are in. A frame
is 17 bytes of header, `!5B3I` (four magic bytes, protocol version, server version, length, command id), then the body;
the length counts the body and the four bytes of the command id. An answer carries the id of its request, an error is
`{"error": {"code", "message"}}`, and what carries the id of a push was not asked for.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

__all__ = ["CATCH", "CAUGHT", "CHAT", "LEFT", "LOGIN", "MOVE", "SAY", "TOP", "WORLD", "Client", "Refused"]

LOGIN, MOVE, CATCH, SAY, TOP = 101, 102, 103, 104, 105
WORLD, CHAT, CAUGHT, LEFT = 2001, 2002, 2003, 2004
PUSHES = frozenset({WORLD, CHAT, CAUGHT, LEFT})

HEADER = struct.Struct("!5B3I")
MAX_BODY = 1 << 20


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Client:
    """One connection to the gate. Not for several threads at once.

    Raises OSError (ConnectionError, TimeoutError) whenever the connection is lost or an answer does not come in time;
    after that only `close` makes sense.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 11009, timeout: float = 5.0) -> None:
        self.timeout = timeout
        self._socket = socket.create_connection((host, port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._data = bytearray()
        self._pushes: list[tuple[int, Any]] = []

    def fileno(self) -> int:
        """Give the descriptor, so that `select` can wait for pushes."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def call(self, command: int, **body: Any) -> Any:
        """Send a command and give the body of its answer; raises Refused when the server says no."""
        data = json.dumps(body).encode()
        self._socket.settimeout(self.timeout)
        self._socket.sendall(HEADER.pack(0, 0, 0, 0, 0, 0, len(data) + 4, command) + data)
        ends = time.monotonic() + self.timeout
        while True:
            left = ends - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer to {command} within {self.timeout} s")
            found, answer = self._read_frame(left)
            if found in PUSHES:
                self._pushes.append((found, answer))
            elif found == command:
                if isinstance(answer, dict) and "error" in answer:
                    raise Refused(answer["error"]["code"], answer["error"]["message"])
                return answer
            else:
                raise ConnectionError(f"an answer to {found}, which was not asked")

    def pushes(self, wait: float = 0.0) -> Iterator[tuple[int, Any]]:
        """Give the pushes that have come, as (id, body); wait up to so many seconds for the first one."""
        while True:
            while self._pushes:
                wait = 0.0
                yield self._pushes.pop(0)
            try:
                self._pushes.append(self._read_frame(wait))
            except (BlockingIOError, TimeoutError):
                return

    def _read_frame(self, wait: float) -> tuple[int, Any]:
        while True:
            frame = self._take_frame()
            if frame is not None:
                return frame
            self._socket.settimeout(max(0.0, wait))
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the gate has closed the connection")
            self._data += data

    def _take_frame(self) -> tuple[int, Any] | None:
        if len(self._data) < HEADER.size:
            return None
        *_, length, command = HEADER.unpack_from(self._data)
        end = HEADER.size + length - 4
        if not 4 <= length <= MAX_BODY:
            raise ConnectionError(f"a frame of {length} bytes")
        if len(self._data) < end:
            return None
        body = bytes(self._data[HEADER.size : end])
        del self._data[:end]
        return command, json.loads(body) if body else None
