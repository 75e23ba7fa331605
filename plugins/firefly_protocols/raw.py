"""The `raw` codec: a body is its bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firefly_core.errors import PayloadError
from firefly_core.wire.codec import Codec

__all__ = ["RawCodec"]


BYTES = (bytes, bytearray, memoryview)


def _same(body: bytes) -> bytes:
    return body


def _nothing(body: bytes) -> None:
    if body:
        raise PayloadError("no body is expected")


class RawCodec(Codec):
    """Leaves bodies alone: handlers read and make bytes themselves.

    A handler that declares anything but bytes cannot be reached through it: every body ends in PayloadError.
    """

    name = "raw"
    passes_bytes = True

    def decoder(self, type: Any) -> Callable[[bytes], Any]:
        if type is bytes or type is Any or type is object:
            return _same
        if type is None or type is None.__class__:
            return _nothing
        needed = getattr(type, "__qualname__", str(type))

        def refuse(_: bytes) -> Any:
            raise PayloadError(f"this command needs {needed}, and the listener's codec is raw")

        return refuse

    def encode(self, value: Any) -> bytes:
        if value.__class__ is bytes:
            return value
        if value is None:
            return b""
        if isinstance(value, BYTES):
            return bytes(value)
        raise TypeError(f"the raw codec takes bytes or None, not {value.__class__.__qualname__}")
