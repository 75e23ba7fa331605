"""What a wire format must do on the client's side: messages to bytes and back. Pure: no socket, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["MAX_MESSAGE", "Answer", "Control", "Message", "Push", "Wire", "error_of"]

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of the longest message that is taken from a server."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request: a body, or an error's code and message."""

    id: int
    body: Any = None
    error: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Push:
    """What the server sent unasked. `name` is empty in formats without names, `seq` 0 where pushes have no numbers."""

    id: int
    name: str
    body: Any
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Control:
    """A message of the format itself: ping, pong, goodbye."""

    name: str
    reason: str = ""


Message = Answer | Push | Control


class Wire(Protocol):
    """One format. It belongs to one client, and `reset` is called for each new connection."""

    resumable: bool
    """Whether sessions can be resumed."""
    controls: bool
    """Whether the format has messages of its own: ping, ack, goodbye."""
    text: bool
    """Whether messages are WebSocket text."""

    def reset(self, *, stream: bool) -> None:
        """Begin with a new connection; `stream`: messages come as a stream of bytes, not one by one."""

    def encode_body(self, body: Any) -> bytes:
        """Give the bytes of a body; raises TypeError or ValueError for what cannot be written."""

    def encode(self, identity: int | None, command: int | str, body: bytes, ack: int) -> bytes:
        """Give a message; without `identity` it is a notify. `ack` above 0 travels with it."""

    def receive(self, data: bytes) -> list[Message]:
        """Take what arrived and give the messages that are complete; raises BadMessage."""


def error_of(value: Any) -> tuple[str, str]:
    """Give the code and message of an error as servers write it."""
    if not isinstance(value, dict):
        return "error", str(value)
    return str(value.get("code", "error")), str(value.get("message", ""))
