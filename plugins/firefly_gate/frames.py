"""WebSocket frames (RFC 6455, section 5): how they are written, and what their first two bytes may be."""

from __future__ import annotations

import struct

from firefly_core.errors import ProtocolError

try:
    from websockets.speedups import apply_mask
except ImportError:  # a build without its C part
    from websockets.utils import apply_mask

__all__ = ["Fault", "apply_mask", "control", "frame", "judge"]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CONTROL = 8
"""The first opcode of those that are control frames."""
FINAL = 0x80
RESERVED = 0x70
DEFLATED = 0x40
"""The reserved bit of a message that is compressed, where that was agreed."""
MASKED = 0x80
WHOLE_TEXT, WHOLE_BINARY = FINAL | TEXT, FINAL | BINARY
WHOLE = frozenset({WHOLE_TEXT, WHOLE_BINARY})
HEADER = 6
"""Bytes of a client's shortest header: opcode, length, mask."""
SHORT = 125
"""Bytes of the longest payload whose length stands in the second byte. Control frames have no longer one."""

NORMAL, FAULT, BAD_TEXT, TOO_BIG = 1000, 1002, 1007, 1009
CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
"""The close codes that may stand in a frame."""

SHORT_HEADS = {first: tuple(bytes((first, length)) for length in range(SHORT + 1)) for first in WHOLE}
TWO_BYTES = struct.Struct("!BBH").pack
EIGHT_BYTES = struct.Struct("!BBQ").pack


class Fault(Exception):
    """What ends the connection: the close code that the client is told, the reason that is counted."""

    def __init__(self, code: int, reason: str, message: str = "", *, answer: bytes | None = None) -> None:
        super().__init__(reason)
        self.error = ProtocolError(reason, message)
        self.answer = code.to_bytes(2, "big") + reason.encode() if answer is None else answer
        """The payload of the close frame."""


def frame(payload: bytes, text: bool) -> bytes:
    """Give the frame of a whole message; it is the same for every connection."""
    first = WHOLE_TEXT if text else WHOLE_BINARY
    length = len(payload)
    if length <= SHORT:
        return SHORT_HEADS[first][length] + payload
    if length < 65536:
        return TWO_BYTES(first, 126, length) + payload
    return EIGHT_BYTES(first, 127, length) + payload


def control(opcode: int, payload: bytes) -> bytes:
    """Give a control frame, whose payload has at most 125 bytes."""
    return bytes((FINAL | opcode, len(payload))) + payload


def judge(first: int, second: int, fragmented: bool) -> None:
    """Raise Fault if a client's frame may not begin with these bytes; `fragmented`: a message has begun before it."""
    opcode = first & 0x0F
    if first & RESERVED:
        raise Fault(FAULT, "reserved_bits")
    if not second & MASKED:
        raise Fault(FAULT, "unmasked")
    if opcode >= CONTROL:
        if opcode > PONG:
            raise Fault(FAULT, "bad_opcode")
        if not first & FINAL or second & 0x7F > SHORT:
            raise Fault(FAULT, "bad_control")
    elif opcode > BINARY:
        raise Fault(FAULT, "bad_opcode")
    elif (opcode == CONTINUATION) is not fragmented:
        raise Fault(FAULT, "bad_continuation")
