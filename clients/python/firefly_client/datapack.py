"""The `datapack` format: a header of 17 bytes, then the body as JSON; commands and pushes by id, answers in order."""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any

from firefly_client.errors import BadMessage
from firefly_client.json_text import write
from firefly_client.wire import MAX_MESSAGE, Answer, Message, Push, error_of

__all__ = ["Datapack"]

HEADER = struct.Struct("!5B3I")
LENGTH_AND_COMMAND = struct.Struct("!II")
FIXED = HEADER.size - LENGTH_AND_COMMAND.size


class Datapack:
    """A client's side of `datapack`. `header` is the listener's; `error_command` too, where it has one.

    It has no request ids: an answer belongs to the oldest open request of its command, and everything else is a push.
    Sessions cannot be resumed, and a notify is answered, which nobody hears.
    """

    resumable = False
    controls = False
    text = False

    def __init__(self, header: Sequence[int] = (0, 0, 0, 0, 0, 0), error_command: int | None = None) -> None:
        self._fixed = HEADER.pack(*header, 0, 0)[:FIXED]
        self._error_command = error_command
        self.reset(stream=True)

    def reset(self, *, stream: bool) -> None:
        """Begin with a new connection."""
        self._stream = stream
        self._tail = bytearray()
        self._open: deque[tuple[int, int | None]] = deque()

    def encode_body(self, body: Any) -> bytes:
        """Give the JSON of a body; raises TypeError or ValueError for what JSON has no word for."""
        return write(body).encode()

    def encode(self, identity: int | None, command: int | str, body: bytes, ack: int) -> bytes:  # noqa: ARG002
        """Give a message; raises ValueError for a command that is not a number."""
        if isinstance(command, str):
            raise ValueError(f"datapack has no names: the command {command!r} needs its id")
        self._open.append((command, identity))
        return self._fixed + LENGTH_AND_COMMAND.pack(len(body) + 4, command) + body

    def receive(self, data: bytes) -> list[Message]:
        """Take what arrived; raises BadMessage."""
        tail = self._tail
        tail += data
        messages: list[Message] = []
        start = 0
        while len(tail) - start >= HEADER.size:
            length, command = LENGTH_AND_COMMAND.unpack_from(tail, start + FIXED)
            if not 4 <= length <= MAX_MESSAGE or tail[start : start + FIXED] != self._fixed:
                raise BadMessage("another header than this listener's")
            end = start + HEADER.size + length - 4
            if end > len(tail):
                break
            message = self._take(command, bytes(tail[start + HEADER.size : end]))
            if message is not None:
                messages.append(message)
            start = end
        del tail[:start]
        return messages

    def _take(self, command: int, data: bytes) -> Message | None:
        try:
            body = json.loads(data) if data else None
        except (ValueError, RecursionError) as error:
            raise BadMessage(str(error)) from None
        if not self._open or command not in (self._open[0][0], self._error_command):
            return Push(command, "", body)
        _, identity = self._open.popleft()
        if identity is None:
            return None
        fault = body.get("error") if isinstance(body, dict) and len(body) == 1 else None
        return Answer(identity, body) if fault is None else Answer(identity, None, error_of(fault))
