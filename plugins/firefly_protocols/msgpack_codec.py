"""The `msgpack` codec: MessagePack without extension types, by msgspec straight into the declared class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import msgpack
import msgspec

from firefly_core.errors import PayloadError
from firefly_core.wire.bounds import CLIENT
from firefly_core.wire.codec import Codec

__all__ = ["MsgpackCodec"]

NIL = b"\xc0"
SHOWN = 300
BYTES = (bytes, bytearray, memoryview)
WRONG = (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException)

NEST, RARE, FLOAT, TOP = 1, 2, 3, 4
SMALLEST_DEEP = CLIENT.depth + 1
SMALLEST_LONG = 3 + CLIENT.array + 1
encode = msgspec.msgpack.Encoder().encode
well_formed = msgspec.msgpack.Decoder(msgspec.Raw).decode


def _marks() -> bytes:
    """Make the table that turns a body's bytes into what they may begin: a 0.06 us look instead of a walk."""
    table = bytearray(256)
    for byte in (*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF):
        table[byte] = NEST  # maps and arrays
    for byte in (*range(0xC4, 0xCA), *range(0xD4, 0xD9)):
        table[byte] = RARE  # bin and ext
    table[0xCA] = table[0xCB] = FLOAT
    table[0x7F] = table[0xFF] = TOP  # how a NaN, an infinity or a huge float goes on
    return bytes(table)


MARKS = _marks()
FLOAT_TOP = bytes([FLOAT, TOP])


def _must_be_walked(body: bytes) -> bool:
    """Whether `body` may hold what the caps forbid. Bytes inside strings count too: then it is walked for nothing."""
    marks = body.translate(MARKS)
    if RARE in marks or (TOP in marks and FLOAT_TOP in marks):
        return True
    size = len(body)
    return size >= SMALLEST_DEEP and (size >= SMALLEST_LONG or marks.count(NEST) > CLIENT.depth)


def _no_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"extension types are not allowed ({code}, {len(data)} bytes)")


def _unpack(body: bytes, *, strict: bool) -> Any:
    """Decode with the caps that the C decoder knows; arrays become tuples where nobody will see them."""
    return msgpack.unpackb(
        body,
        raw=False,
        use_list=strict,
        strict_map_key=strict,
        max_array_len=CLIENT.array,
        max_map_len=CLIENT.map,
        max_ext_len=0,
        ext_hook=_no_extension,
    )


def _refusal(error: BaseException) -> PayloadError:
    return PayloadError(str(error)[:SHOWN] or "the body is not MessagePack")


def _same(body: bytes) -> bytes:
    return body


def _plain(body: bytes) -> Any:
    try:
        value = _unpack(body or NIL, strict=True)
    except WRONG as error:
        raise _refusal(error) from None
    if _must_be_walked(body):
        CLIENT.check(value)
    return value


def _plain_of(kind: type, word: str) -> Callable[[bytes], Any]:
    def decode(body: bytes) -> Any:
        value = _plain(body)
        if value.__class__ is not kind:
            raise PayloadError(f"Expected `{word}`, got `{value.__class__.__name__}`")
        return value

    return decode


class MsgpackCodec(Codec):
    """Reads and writes MessagePack. Extension types, NaN and the infinities are refused; datetimes travel as text.

    Maps have string keys, unless a declared class says otherwise.
    """

    name = "msgpack"

    def decoder(self, type: Any) -> Callable[[bytes], Any]:
        if type is bytes:
            return _same
        if type is Any or type is object:
            return _plain
        if type is dict or type == dict[str, Any]:
            return _plain_of(dict, "object")
        if type is list or type == list[Any]:
            return _plain_of(list, "array")
        typed = msgspec.msgpack.Decoder(type).decode

        def decode(body: bytes) -> Any:
            try:
                if _must_be_walked(body):
                    CLIENT.check(_unpack(body, strict=False), keys=False)
                return typed(body or NIL)
            except WRONG as error:
                raise _refusal(error) from None

        return decode

    def encode(self, value: Any) -> bytes:
        try:
            if isinstance(value, BYTES):
                body = bytes(value)
                well_formed(body)
                return body
            body = encode(value)
            if RARE in body.translate(MARKS) and not _without_extensions(body):
                body = encode(msgspec.to_builtins(value, builtin_types=BYTES))
        except WRONG as error:
            raise TypeError(f"no MessagePack can be made of it: {error}") from error
        return body


def _without_extensions(body: bytes) -> bool:
    try:
        msgpack.unpackb(body, raw=True, use_list=False, strict_map_key=False, max_ext_len=0, ext_hook=_no_extension)
    except ValueError:
        return False
    return True
