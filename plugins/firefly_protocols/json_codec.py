"""The `json` codec: RFC 8259 by msgspec, straight into the declared class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from firefly_core.errors import PayloadError
from firefly_core.wire.bounds import CLIENT
from firefly_core.wire.codec import Codec

__all__ = ["JsonCodec"]

NULL = b"null"
SHOWN = 300
SAFE = 2 * CLIENT.depth
"""Bytes that are too few to be nested too deep, or to have too many members: each bracket needs its other half."""
BYTES = (bytes, bytearray, memoryview)
plain = msgspec.json.Decoder().decode
well_formed = msgspec.json.Decoder(msgspec.Raw).decode
encode = msgspec.json.Encoder().encode


def _same(body: bytes) -> bytes:
    return body


def _may_be_over(body: bytes) -> bool:
    """Whether a body over `SAFE` bytes has brackets enough to be too deep, or commas enough to be too long."""
    return body.count(b"[") + body.count(b"{") > CLIENT.depth or body.count(b",") >= CLIENT.map


class JsonCodec(Codec):
    """Reads and writes JSON. NaN and the infinities do not exist in it: they are refused, and written as null."""

    name = "json"

    def decoder(self, type: Any) -> Callable[[bytes], Any]:
        if type is bytes:
            return _same
        typed = msgspec.json.Decoder(type).decode

        def decode(body: bytes) -> Any:
            try:
                if len(body) > SAFE and _may_be_over(body):
                    CLIENT.check(plain(body))
                return typed(body or NULL)
            except (ValueError, RecursionError, OverflowError) as error:
                raise PayloadError(str(error)[:SHOWN]) from None

        return decode

    def encode(self, value: Any) -> bytes:
        if isinstance(value, BYTES):
            return self._checked(bytes(value))
        try:
            return encode(value)
        except (ValueError, RecursionError, OverflowError) as error:
            raise TypeError(f"no JSON can be made of it: {error}") from error

    def _checked(self, body: bytes) -> bytes:
        """Give a body that a handler made, unless a client could not read it."""
        try:
            body.decode()
            well_formed(body)
        except (ValueError, RecursionError) as error:
            raise TypeError(f"the bytes are not JSON: {error}") from error
        return body
