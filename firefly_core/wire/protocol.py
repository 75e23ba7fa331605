"""The contract of a client wire format: a pure state machine between bytes and messages.

A gate makes one `Protocol` object a connection. It hands in what arrived, takes the requests that are complete, and
asks for the bytes of each answer. The object never sees a socket, so it is tested whole, byte by byte, and with garbage.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar, NamedTuple

__all__ = ["Limits", "Protocol", "Request"]


class Request(NamedTuple):
    """One command of a client."""

    command: int | str
    """The command's id, or its name where the format allows names."""
    body: bytes
    """The body, untouched: the listener's codec decodes it."""
    request_id: int | str | None
    """What the answer must carry; None: the client waits for no answer."""


class Limits:
    """The largest frame a connection may send, in bytes, shared by its layers; `login` raises it."""

    __slots__ = ("max_frame",)

    def __init__(self, max_frame: int) -> None:
        self.max_frame = max_frame


class Protocol(abc.ABC):
    """One connection's side of a client wire format.

    `settings` is the listener's frozen `Config` (one object for all its connections). `limits` may change while the
    connection lives: read it for each frame. `stream` says what the transport keeps: True for a byte stream (TCP),
    False where each `receive` gets exactly one whole message (WebSocket).
    """

    __slots__ = ("limits", "output", "settings", "stream")

    name: ClassVar[str]
    """The word used for `protocol =` in firefly.toml."""
    default_codec: ClassVar[str] = "json"
    codecs: ClassVar[frozenset[str] | None] = None
    """The codecs that fit the format; None: any."""
    text: ClassVar[bool] = False
    """Whether its messages travel as WebSocket text."""
    answers_always: ClassVar[bool] = False
    """Whether a request without id is answered all the same (datapack)."""
    Config: ClassVar[type]
    """A frozen attrs class of the listener's extra keys, each made by `firefly_core.kernel.config.key`."""

    def __init__(self, settings: Any, limits: Limits, *, stream: bool) -> None:
        self.settings = settings
        self.limits = limits
        self.stream = stream
        self.output: list[bytes] = []
        """Frames that the format itself wants sent (a heartbeat, a handshake); the driver writes and clears them."""

    @abc.abstractmethod
    def receive(self, data: bytes) -> list[Request]:
        """Take what arrived and give the requests that are complete, in order.

        Raises ProtocolError when the bytes cannot be of this format; the connection is closed then. Requests that are
        complete before the bad bytes are given first: the error is raised by the next call (also one with no data).
        """

    @abc.abstractmethod
    def partial(self) -> bool:
        """Whether a frame has begun and is not complete (its deadline runs)."""

    @abc.abstractmethod
    def encode_reply(self, request: Request, body: bytes) -> bytes:
        """Give the frame that answers `request` with `body`."""

    @abc.abstractmethod
    def encode_error(self, request: Request, code: str, message: str, body: bytes) -> bytes:
        """Give the frame that answers `request` with an error; `body` is `{"error": {code, message}}` in the codec."""

    @abc.abstractmethod
    def encode_push(self, command: int, name: str, body: bytes) -> bytes:
        """Give the frame that pushes `body` under the push's id (and name, where the format has names)."""

    def encode_goodbye(self, reason: str) -> bytes:  # noqa: ARG002
        """Give the last frame before the server closes the connection; empty where the format has none."""
        return b""

    def encode_heartbeat(self) -> bytes:
        """Give the frame that asks the client for a sign of life; empty where the format has none."""
        return b""
