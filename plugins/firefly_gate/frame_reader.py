"""Cuts the frames of a WebSocket (RFC 6455, section 5) out of what arrived, and judges each by its header."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from firefly_core.wire.protocol import Limits
from firefly_gate.frames import (
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
    judge,
)

if TYPE_CHECKING:
    from codecs import IncrementalDecoder

__all__ = ["FrameReader"]

LARGE = 8192
"""Bytes from which on a payload is not copied before its mask is taken off."""
PONGS = 16
"""Frames that may wait in `output` when a further ping is answered instead of the one before it."""


class FrameReader:
    """What a layer knows of the frames that its client sends."""

    __slots__ = ("_decoder", "_need", "closing", "fragments", "limits", "output", "unanswered")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.closing = False
        """Whether our close frame was given."""
        self.output: list[bytes] | None = None
        self.unanswered = 0
        """Pings sent since the client answered one."""
        self._need = 0
        """How long what has begun must be before it is worth another look."""
        self.fragments: bytearray | None = None
        """The message of which some fragments have come."""
        self._decoder: IncrementalDecoder | None = None
        """Checks the text of that message, where it is text."""

    def _cut(self, data: bytes, messages: list[bytes]) -> int:
        """Cut the frames that are complete; give where the rest begins. Raises Fault, UnicodeDecodeError."""
        size = len(data)
        longest = self.limits.max_frame
        start = 0
        while size - start >= HEADER:
            first = data[start]
            length = data[start + 1] - MASKED
            if first in WHOLE and 0 <= length <= SHORT and length <= longest and self.fragments is None:
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
        judge(first, second, self.fragments is not None)
        mask = start + 2 + (0 if length <= SHORT else 2 if length == 126 else 8)
        if len(data) < mask:
            self._need = mask - start
            return 0
        if length > SHORT:
            length = int.from_bytes(data[start + 2 : mask], "big")
            if length >> 63:
                raise Fault(FAULT, "bad_length")
        if opcode < CONTROL and length + len(self.fragments or b"") > self.limits.max_frame:
            raise Fault(TOO_BIG, "too_long")
        begin = mask + 4
        end = begin + length
        if len(data) < end:
            self._need = end - start
            return 0
        part = data[begin:end] if length < LARGE else memoryview(data)[begin:end]
        payload = apply_mask(part, data[mask:begin])
        if opcode >= CONTROL:
            self._take_control(opcode, payload)
        else:
            self._take_data(opcode, final, payload, messages)
        return end

    def _take_data(self, opcode: int, final: bool, payload: bytes, messages: list[bytes]) -> None:
        """Take a message, or a fragment of one; text is checked as it comes."""
        if self.fragments is None:
            if opcode == TEXT:
                if final:
                    payload.decode()
                else:
                    self._decoder = codecs.getincrementaldecoder("utf-8")()
            if final:
                messages.append(payload)
                return
            self.fragments = bytearray()
        if self._decoder is not None:
            self._decoder.decode(payload, final)
        self.fragments += payload
        if final:
            messages.append(bytes(self.fragments))
            self.fragments = self._decoder = None

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

    def _emit(self, data: bytes) -> None:
        if self.output is None:
            self.output = [data]
        else:
            self.output.append(data)
