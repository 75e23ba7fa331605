"""The contract of a client wire format: a pure state machine between bytes and messages.

A gate makes one `Protocol` object a connection. It hands in what arrived, takes the requests that are complete, and
asks for the bytes of each answer. The object never sees a socket, so it is tested whole, byte by byte, with garbage.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec

from firefly_core.errors import ProtocolError

__all__ = ["NO_NAMES", "Limits", "Protocol", "Request"]

NO_NAMES: Mapping[str, int] = MappingProxyType({})


class Request(msgspec.Struct, frozen=True, gc=False):
    """One command of a client. It is made once a message: as a msgspec Struct in 0.05 us, as a NamedTuple in 0.29."""

    command: int | str
    """The command's id, or its name where the format allows names."""
    body: bytes
    """The body, untouched: the listener's codec decodes it."""
    request_id: int | str | None = None
    """What the answer must carry; None: the client waits for no answer."""


class Limits:
    """The largest frame a connection may send, in bytes, shared by its layers; `login` raises it."""

    __slots__ = ("max_frame",)

    def __init__(self, max_frame: int) -> None:
        self.max_frame = max_frame


class Protocol(abc.ABC):
    """One connection's side of a client wire format.

    `settings` is the listener's frozen `Config` (one object for all its connections). `limits` may change while the
    connection lives: it is read for each frame. `stream` says what the transport keeps: True for a byte stream (TCP),
    False where each `receive` gets exactly one whole message (WebSocket). `names` is a live view of the names that
    clients may use, commands and pushes, with their ids; a format that tells them to its clients reads it then.

    The driver's duties: call `receive` with what arrived, handle the requests it gives, write and clear `output`, then
    look at `failure`: when it is set, the connection ends once those requests are answered.
    """

    __slots__ = ("acknowledged", "failure", "limits", "names", "output", "settings", "stream", "tail")

    name: ClassVar[str]
    """The word used for `protocol =` in firefly.toml."""
    default_codec: ClassVar[str] = "json"
    codecs: ClassVar[frozenset[str] | None] = None
    """The codecs that fit the format; None: any."""
    text: ClassVar[bool] = False
    """Whether its messages travel as WebSocket text."""
    answers_always: ClassVar[bool] = False
    """Whether a request without id is answered all the same (datapack)."""
    resumable: ClassVar[bool] = False
    """Whether pushes can be numbered and acknowledged, so that a session can be resumed on another connection."""
    Config: ClassVar[type]
    """A frozen attrs class of the listener's extra keys, each made by `firefly_core.kernel.config.config.key`."""

    def __init__(self, settings: Any, limits: Limits, *, stream: bool, names: Mapping[str, int] = NO_NAMES) -> None:
        self.settings = settings
        self.limits = limits
        self.stream = stream
        self.names = names
        self.output: list[bytes] | None = None
        """Frames that the format itself wants sent (a heartbeat, a handshake), or None: an idle connection has no list.
        The driver writes them before the answers of that `receive`, and sets it back to None."""
        self.failure: ProtocolError | None = None
        """What is wrong with the bytes received last: every further `receive` raises it."""
        self.tail: bytearray | None = None
        """The frame that has begun and is not complete, or None: an idle connection keeps no buffer. Its deadline runs
        as long as there is one."""
        self.acknowledged = 0
        """The highest number of a push that the client says it has; 0 where the format is not resumable."""

    @abc.abstractmethod
    def receive(self, data: bytes) -> list[Request]:
        """Take what arrived and give the requests that are complete, in order.

        Raises ProtocolError when the bytes cannot be of this format; the connection is closed then. Requests that are
        complete before the bad bytes are given first: the error stands in `failure` and is raised by the next call
        (also one with no data).
        """

    @abc.abstractmethod
    def encode_reply(self, request: Request, body: bytes) -> bytes:
        """Give the frame that answers `request` with `body`."""

    @abc.abstractmethod
    def encode_error(self, request: Request, code: str, message: str, body: bytes) -> bytes:
        """Give the frame that answers `request` with an error; `body` is `{"error": {code, message}}` in the codec."""

    @abc.abstractmethod
    def encode_push(self, command: int, name: str, body: bytes) -> bytes:
        """Give the frame that pushes `body` under the push's id (and name, where the format has names).

        It is the same for every connection of a listener, so that a push to many is encoded once.
        """

    def number(self, frame: bytes, seq: int) -> bytes:  # noqa: ARG002
        """Give a push's frame with its number among the session's pushes; unchanged where it is not resumable."""
        return frame

    def encode_goodbye(self, reason: str) -> bytes:  # noqa: ARG002
        """Give the last frame before the server closes the connection; empty where the format has none."""
        return b""

    def encode_heartbeat(self) -> bytes:
        """Give the frame that asks the client for a sign of life; empty where the format has none."""
        return b""

    def _emit(self, frame: bytes) -> None:
        """Put a frame of the format's own into `output`."""
        if self.output is None:
            self.output = [frame]
        else:
            self.output.append(frame)

    def _fail(self, requests: list[Request], error: ProtocolError) -> list[Request]:
        """Remember `error`; give the requests that came before it, or raise it at once when there are none."""
        self.failure = error.forget()
        if requests:
            return requests
        raise error
