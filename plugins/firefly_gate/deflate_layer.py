"""WebSocket whose messages may be compressed (permessage-deflate, RFC 7692), for listeners that say so.

Each message is compressed for itself, both ways (no context takeover): so an idle connection keeps no window, a push to
many is compressed once for all of them, and a message is inflated up to the limit of its length and no further.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from firefly_gate.frames import BINARY, DEFLATED, FAULT, TEXT, TOO_BIG, Fault, frame
from firefly_gate.upgrade import Opened
from firefly_gate.websocket import WebSocketLayer

__all__ = ["DeflateLayer", "deflate"]

LEVEL, MEMORY = 1, 5
SHORTEST = 96
"""Bytes of the shortest message that is compressed: without those before it a shorter one hardly shrinks."""
FLUSHED = b"\x00\x00\xff\xff"
"""What a sender leaves out at the end of each message."""
PIECE = 65_536
"""Bytes inflated at once: larger blocks, once freed, leave the heap larger by twice their size."""
ENDS = (b"", FLUSHED, b"\x00" + FLUSHED)
"""What may stand behind a last block: an empty one, which lets the message end on a whole byte."""


def deflate(payload: bytes, bits: int) -> bytes:
    """Compress a message for a client whose window has so many bits."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -bits, MEMORY)
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[: -len(FLUSHED)]


class DeflateLayer(WebSocketLayer):
    """One connection of such a listener, whose client may have taken the offer or not."""

    compression = True

    __slots__ = ("_inflater", "_packed", "_window", "variant")

    def __init__(self, *about: Any, **options: Any) -> None:
        super().__init__(*about, **options)
        self.variant = 0
        """Bits of the window that this client has for our messages; 0: it takes none that are compressed."""
        self._window = 0
        """Bits of the window that it uses for its own; 0: it may compress none."""
        self._packed = False
        """Whether the message that has begun is compressed."""
        self._inflater: Any = None
        """Inflates that message, between its fragments."""

    def framed(self, payload: bytes, text: bool) -> bytes:
        """Give the frame of a whole message, compressed where that makes it shorter."""
        if self.variant and len(payload) >= SHORTEST:
            packed = deflate(payload, self.variant)
            if len(packed) < len(payload):
                plain = frame(packed, text)
                return bytes((plain[0] | DEFLATED,)) + plain[1:]
        return frame(payload, text)

    def wrap(self, payload: bytes, text: bool) -> bytes:
        """Give the frame of a whole message; empty when nothing may be sent."""
        return self.framed(payload, text) if self.open else b""

    # ------------------------------------------------------------------------------------------- receiving

    def _begin(self, opened: Opened) -> None:
        agreed = opened.deflate
        if agreed is not None:
            self.variant = agreed.local_max_window_bits
            self._window = agreed.remote_max_window_bits

    def _frame(self, first: int, data: bytes, start: int, messages: list[bytes]) -> int:
        if self._window and first & 0x0F in (TEXT, BINARY) and self.fragments is None:
            self._packed = bool(first & DEFLATED)
            first &= ~DEFLATED
        return super()._frame(first, data, start, messages)

    def _take_data(self, opcode: int, final: bool, payload: bytes, messages: list[bytes]) -> None:
        if self._packed:
            payload = self._inflate(payload, final)
        super()._take_data(opcode, final, payload, messages)

    def _inflate(self, payload: bytes, final: bool) -> bytes:
        """Inflate a message or a fragment of one; raises Fault when it is longer than may be, or not deflate."""
        inflater = self._inflater or zlib.decompressobj(-self._window)
        room = self.limits.max_frame - len(self.fragments or b"")
        try:
            pieces = list(_pieces(inflater, payload, room))
            if final:
                pieces += _pieces(inflater, FLUSHED, room - sum(map(len, pieces)))
        except zlib.error as error:
            raise Fault(FAULT, "bad_deflate", str(error)) from error
        behind = inflater.unused_data
        if behind not in ENDS if final else len(behind) > 1:
            raise Fault(FAULT, "bad_deflate", "bytes behind the last block")
        self._inflater = None if final else inflater
        return b"".join(pieces)


def _pieces(inflater: Any, data: bytes, room: int) -> Iterator[bytes]:
    """Inflate `data` piece by piece; raises Fault as soon as there is no room for one."""
    piece = b""
    while data or len(piece) == PIECE:
        piece = inflater.decompress(data, min(PIECE, room + 1))
        data = inflater.unconsumed_tail
        room -= len(piece)
        if room < 0:
            raise Fault(TOO_BIG, "too_long")
        yield piece
