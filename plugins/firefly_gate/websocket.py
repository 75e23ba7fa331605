"""The server's side of WebSocket (RFC 6455), between a stream's bytes and a Protocol; pure, one object a connection.

1. `receive` gathers the request of the opening handshake, and `upgrade.take` judges it
2. then it cuts frames: short whole ones at once, every other one by `_frame`, which judges it by its header
3. pings are answered in `output`; the client's close frame, or a fault, ends the connection with a ProtocolError whose
   answer stands in `output`, or is kept for `close_frame` while earlier messages are still to be answered

The websockets package's ServerProtocol does the handshake and is dropped: reading frames with it takes 4.2 us a message
and 6.6 KB a connection.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection
from http import HTTPStatus
from typing import TYPE_CHECKING

from firefly_core.errors import ProtocolError
from firefly_core.wire.protocol import Limits, Protocol, Request
from firefly_gate.frames import (
    BAD_TEXT,
    CLOSE,
    CODES,
    CONTROL,
    FAULT,
    FINAL,
    HEADER,
    MASKED,
    NORMAL,
    PING,
    PONG,
    SHORT,
    TEXT,
    TOO_BIG,
    WHOLE,
    WHOLE_TEXT,
    Fault,
    apply_mask,
    control,
    frame,
    judge,
)
from firefly_gate.upgrade import Opened, Refused, refused, take

if TYPE_CHECKING:
    from codecs import IncrementalDecoder

__all__ = ["WebSocketLayer", "frame"]

PONGS = 16
"""Frames that may wait in `output` when a further ping is answered instead of the one before it."""


class WebSocketLayer:
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
        "_decoder",
        "_fragments",
        "_need",
        "_origins",
        "_path",
        "_tail",
        "closing",
        "failure",
        "limits",
        "open",
        "output",
        "unanswered",
    )

    def __init__(self, limits: Limits, *, path: str = "/", origins: Collection[str] | None = None) -> None:
        self.limits = limits
        self._path = path
        self._origins = origins
        self.open = False
        """Whether messages may be sent: from the end of the opening handshake until a close frame is given."""
        self.closing = False
        """Whether our close frame was given."""
        self.output: list[bytes] | None = None
        self.failure: ProtocolError | None = None
        """How the connection ends, once the messages before it are answered; every further `receive` raises it."""
        self.unanswered = 0
        """Pings sent since the client answered one."""
        self._answer: bytes | None = None
        """The close frame that `failure` calls for, while it is not given."""
        self._tail: bytearray | None = None
        """The handshake or frame that has begun, or None: an idle connection keeps no buffer."""
        self._need = 0
        """How long `_tail` must be before it is worth another look."""
        self._fragments: bytearray | None = None
        """The message of which some fragments have come."""
        self._decoder: IncrementalDecoder | None = None
        """Checks the text of that message, where it is text."""

    def receive(self, data: bytes) -> list[bytes]:
        """Take what arrived and give the payloads of whole messages, text and binary alike.

        Raises ProtocolError when the connection ends: by a fault, or (reason `closed`) by the client's close frame.
        Messages that came before are given first: then `failure` is set, and the next call raises it.
        """
        if self.failure is not None:
            self._emit_answer()
            raise self.failure
        if self._tail is not None:
            self._tail += data
            if len(self._tail) < self._need:
                return []
            data = bytes(self._tail)
            self._tail = None
        messages: list[bytes] = []
        try:
            if not self.open and not self.closing:
                data = self._shake_hands(data)
            rest = self._cut(data, messages)
            if rest < len(data):
                self._tail = bytearray(data[rest:])
        except Refused as refusal:
            self.failure = refusal
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
            for message in self.receive(data):
                requests += protocol.receive(message)
        except ProtocolError as error:
            if not requests:
                raise
            protocol.failure = error
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
        return self._tail is not None or self._fragments is not None

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
            self._tail = bytearray(data) if data else None
            return b""
        opened, rest = taken
        self._begin(opened)
        self._emit(opened.answer)
        self.open = True
        return rest

    def _cut(self, data: bytes, messages: list[bytes]) -> int:
        """Cut the frames that are complete; give where the rest begins. Raises Fault, UnicodeDecodeError."""
        size = len(data)
        longest = self.limits.max_frame
        start = 0
        while size - start >= HEADER:
            first = data[start]
            length = data[start + 1] - MASKED
            if first in WHOLE and 0 <= length <= SHORT and length <= longest and self._fragments is None:
                begin = start + HEADER
                end = begin + length
                if end > size:
                    self._need = end - start
                    return start
                payload = apply_mask(data[begin:end], data[start + 2 : begin])
                if first == WHOLE_TEXT and not payload.isascii():
                    payload.decode()
                messages.append(payload)
            else:
                end = self._frame(first, data, start, messages)
                if not end:
                    return start
            start = end
        if size - start >= 2:
            self._frame(data[start], data, start, messages)
        else:
            self._need = 2
        return start

    def _frame(self, first: int, data: bytes, start: int, messages: list[bytes]) -> int:
        """Judge a frame, whose first byte is `first`, by what is there of its header; take it when it is complete.

        Gives where it ends, or 0 when it is not complete: `_need` says how much of it is worth another look.
        """
        second = data[start + 1]
        final, opcode = bool(first & FINAL), first & 0x0F
        length = second & 0x7F
        judge(first, second, self._fragments is not None)
        mask = start + 2 + (0 if length <= SHORT else 2 if length == 126 else 8)
        if len(data) < mask:
            self._need = mask - start
            return 0
        if length > SHORT:
            length = int.from_bytes(data[start + 2 : mask], "big")
            if length >> 63:
                raise Fault(FAULT, "bad_length")
        if opcode < CONTROL and length + len(self._fragments or b"") > self.limits.max_frame:
            raise Fault(TOO_BIG, "too_long")
        begin = mask + 4
        end = begin + length
        if len(data) < end:
            self._need = end - start
            return 0
        payload = apply_mask(data[begin:end], data[mask:begin])
        if opcode >= CONTROL:
            self._take_control(opcode, payload)
        else:
            self._take_data(opcode, final, payload, messages)
        return end

    def _take_data(self, opcode: int, final: bool, payload: bytes, messages: list[bytes]) -> None:
        """Take a message, or a fragment of one; text is checked as it comes."""
        if self._fragments is None:
            if opcode == TEXT:
                if final:
                    payload.decode()
                else:
                    self._decoder = codecs.getincrementaldecoder("utf-8")()
            if final:
                messages.append(payload)
                return
            self._fragments = bytearray()
        if self._decoder is not None:
            self._decoder.decode(payload, final)
        self._fragments += payload
        if final:
            messages.append(bytes(self._fragments))
            self._fragments = self._decoder = None

    def _take_control(self, opcode: int, payload: bytes) -> None:
        if opcode == PONG:
            self.unanswered = 0
        elif opcode == PING:
            if self.output is not None and len(self.output) >= PONGS:
                self.output.pop()
            if not self.closing:
                self._emit(control(PONG, payload))
        elif len(payload) == 1 or (payload and int.from_bytes(payload[:2], "big") not in CODES):
            raise Fault(FAULT, "bad_close")
        else:
            payload[2:].decode()
            raise Fault(NORMAL, "closed", "the client has closed", answer=payload[:2])

    def _end(self, error: ProtocolError, answer: bytes) -> None:
        self.failure = error
        if not self.closing:
            self._answer = control(CLOSE, answer)
        self._tail = self._fragments = self._decoder = None

    def _emit_answer(self) -> None:
        if self._answer is not None:
            self._emit(self.close_frame())

    def _emit(self, data: bytes) -> None:
        if self.output is None:
            self.output = [data]
        else:
            self.output.append(data)
