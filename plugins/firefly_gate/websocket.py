"""The server's side of WebSocket (RFC 6455), between a stream's bytes and a Protocol; pure, one object a connection.

1. `receive` gathers the request of the opening handshake, and `upgrade.take` judges it
2. then `FrameReader` cuts frames: short whole ones at once, every other one by `_frame`, which judges its header
3. pings are answered in `output`; the client's close frame, or a fault, ends the connection with a ProtocolError whose
   answer stands in `output`, or is kept for `close_frame` while earlier messages are still to be answered

The websockets package's ServerProtocol does the handshake and is dropped: reading frames with it takes 4.2 us a message
and 6.6 KB a connection.
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import cast

from firefly_core.errors import ProtocolError
from firefly_core.wire.protocol import Limits, Protocol, Request
from firefly_gate.frame_reader import FrameReader
from firefly_gate.frames import (
    BAD_TEXT,
    CLOSE,
    HEADER,
    MASKED,
    NORMAL,
    PING,
    SHORT,
    WHOLE,
    WHOLE_BINARY,
    Fault,
    apply_mask,
    control,
    frame,
)
from firefly_gate.upgrade import Opened, Refused, refused, take

__all__ = ["WebSocketLayer", "frame"]


class WebSocketLayer(FrameReader):
    """One connection. The driver's duties:

    - call `receive` (or `carry`) with what arrived, write what `take_output` gives, then handle the messages;
    - when ProtocolError is raised, write `take_output` and close; its reason `closed` is the client's orderly close;
    - when `failure` is set, answer the messages that it got, write `close_frame(...)` and close;
    - let no more than the frame deadline pass while `partial()` is true.
    """

    compression = False
    """Whether compressing messages may be agreed on."""
    variant = 0
    """Connections of one listener with the same number frame a message alike."""

    __slots__ = (
        "_answer",
        "_origins",
        "_path",
        "failure",
        "open",
        "tail",
    )

    def __init__(self, limits: Limits, *, path: str = "/", origins: Collection[str] | None = None) -> None:
        super().__init__(limits)
        self._path = path
        self._origins = origins
        self.open = False
        """Whether messages may be sent: from the end of the opening handshake until a close frame is given."""
        self.failure: ProtocolError | None = None
        """How the connection ends, once the messages before it are answered; every further `receive` raises it."""
        self._answer: bytes | None = None
        """The close frame that `failure` calls for, while it is not given."""
        self.tail: bytearray | None = None
        """The handshake or frame that has begun, or None: an idle connection keeps no buffer."""

    def receive(self, data: bytes) -> list[bytes]:
        """Take what arrived and give the payloads of whole messages, text and binary alike.

        Raises ProtocolError when the connection ends: by a fault, or (reason `closed`) by the client's close frame.
        Messages that came before are given first: then `failure` is set, and the next call raises it.
        """
        if self.open and self.tail is None and self.fragments is None and self.failure is None and len(data) >= HEADER:
            first = data[0]
            length = data[1] - MASKED
            if first in WHOLE and len(data) - HEADER == length <= SHORT and length <= self.limits.max_frame:
                payload = apply_mask(data[HEADER:], data[2:HEADER])
                if first == WHOLE_BINARY or payload.isascii():
                    # Most reads bring just one short message.
                    return [payload]
        if self.failure is not None:
            self._emit_answer()
            raise self.failure
        if self.tail is not None:
            self.tail += data
            if len(self.tail) < self._need:
                return []
            # Not copied: of a large frame there is one piece less in memory.
            data, self.tail = cast(bytes, self.tail), None
        messages: list[bytes] = []
        try:
            if not self.open and not self.closing:
                data = self._shake_hands(bytes(data))
            rest = self._cut(data, messages)
            if rest < len(data):
                self.tail = bytearray(data[rest:])
        except Refused as refusal:
            self.failure = refusal.forget()
            self._emit(refusal.response)
        except Fault as fault:
            self._end(fault.error, fault.answer)
        except UnicodeDecodeError as error:
            self._end(ProtocolError("bad_utf8", str(error)), BAD_TEXT.to_bytes(2, "big") + b"bad_utf8")
        if self.closing:
            messages.clear()
        if self.failure is not None and not messages:
            self._emit_answer()
            raise self.failure
        return messages

    def carry(self, protocol: Protocol, data: bytes) -> list[Request]:
        """Take what arrived and give the requests that `protocol` finds in its messages.

        Raises ProtocolError as either of them does. With requests before the fault, `protocol.failure` is set instead.
        """
        requests: list[Request] = []
        try:
            messages = self.receive(data)
            if len(messages) == 1 and self.failure is None:
                # Most reads bring just one.
                return protocol.receive(messages[0])
            for message in messages:
                requests += protocol.receive(message)
        except ProtocolError as error:
            if not requests:
                raise
            protocol.failure = error.forget()
            return requests
        if self.failure is not None and protocol.failure is None:
            protocol.failure = self.failure
        return requests

    def take_output(self) -> list[bytes]:
        """Give what is to be written now, in order, and forget it."""
        output, self.output = self.output, None
        return output or []

    def partial(self) -> bool:
        """Whether a handshake, a frame or a fragmented message has begun and is not complete (its deadline runs)."""
        return self.tail is not None or self.fragments is not None

    def framed(self, payload: bytes, text: bool) -> bytes:
        """Give the frame of a whole message, whether it may be sent or not; for all connections of its variant."""
        return frame(payload, text)

    def wrap(self, payload: bytes, text: bool) -> bytes:
        """Give the frame of a whole message; empty when nothing may be sent."""
        return frame(payload, text) if self.open else b""

    def ping(self, payload: bytes = b"") -> bytes:
        """Give a ping, and count it in `unanswered`; empty when nothing may be sent."""
        if not self.open:
            return b""
        self.unanswered += 1
        return control(PING, payload[:SHORT])

    def close_frame(self, code: int = NORMAL, reason: str = "") -> bytes:
        """Give the frame that ends the connection, once: the answer to the client's close or fault, else this one.

        Empty before the handshake has ended, and when a close frame was given before.
        """
        if not self.open:
            return b""
        answer, self._answer = self._answer, None
        self.open = False
        self.closing = True
        if answer is not None:
            return answer
        text = reason.encode()[: SHORT - 2].decode(errors="ignore").encode()
        return control(CLOSE, code.to_bytes(2, "big") + text)

    def refusal(self, reason: str) -> bytes:
        """Give the HTTP answer for a client that is turned away before its handshake; empty after it."""
        if self.open or self.closing or self.failure is not None:
            return b""
        return refused(reason, HTTPStatus.SERVICE_UNAVAILABLE, reason).response

    # ------------------------------------------------------------------------------------------- receiving

    def _begin(self, opened: Opened) -> None:
        """Take over what was agreed on."""

    def _shake_hands(self, data: bytes) -> bytes:
        """Take the client's request, and give what came behind it."""
        taken = take(data, self._path, self._origins, compression=self.compression)
        if taken is None:
            self._need = 0
            self.tail = bytearray(data) if data else None
            return b""
        opened, rest = taken
        self._begin(opened)
        self._emit(opened.answer)
        self.open = True
        return rest

    def _end(self, error: ProtocolError, answer: bytes) -> None:
        self.failure = error
        if not self.closing:
            self._answer = control(CLOSE, answer)
        self.tail = self.fragments = self._decoder = None

    def _emit_answer(self) -> None:
        if self._answer is not None:
            self._emit(self.close_frame())
