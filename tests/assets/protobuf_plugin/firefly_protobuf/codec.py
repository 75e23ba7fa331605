"""The codec `protobuf`: a body is a `google.protobuf.Value`, which clients of every language bring along.

What a handler declares is made of it as of JSON, by msgspec, so constraints and paths of errors are the same. Numbers
are doubles: an integer beyond 2**53 has no form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import NULL_VALUE, Value

from firefly_core.errors import PayloadError
from firefly_core.wire.bounds import CLIENT
from firefly_core.wire.codec import Codec

__all__ = ["ProtobufCodec"]

EXACT = 2**53
WRONG = (DecodeError, msgspec.ValidationError, RecursionError)


class ProtobufCodec(Codec):
    """Reads and writes `google.protobuf.Value`."""

    name = "protobuf"

    def decoder(self, type: Any) -> Callable[[bytes], Any]:
        if type is bytes:
            return lambda body: body

        def decode(body: bytes) -> Any:
            try:
                value = _plain(Value.FromString(body))
                CLIENT.check(value)
                return value if type is Any else msgspec.convert(value, type)
            except WRONG as error:
                raise PayloadError(str(error) or "the body is no google.protobuf.Value") from None

        return decode

    def encode(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        message = Value()
        _fill(message, msgspec.to_builtins(value, str_keys=True))
        return message.SerializeToString()


def _plain(message: Value) -> Any:
    kind = message.WhichOneof("kind")
    if kind == "struct_value":
        return {key: _plain(field) for key, field in message.struct_value.fields.items()}
    if kind == "list_value":
        return [_plain(item) for item in message.list_value.values]
    if kind in (None, "null_value"):
        return None
    value = getattr(message, kind)
    return int(value) if kind == "number_value" and value.is_integer() and abs(value) <= EXACT else value


def _fill(message: Value, value: Any) -> None:
    match value:
        case None:
            message.null_value = NULL_VALUE
        case bool():
            message.bool_value = value
        case int() | float():
            if not math.isfinite(value) or (isinstance(value, int) and abs(value) > EXACT):
                raise TypeError(f"{value} has no form in a google.protobuf.Value")
            message.number_value = value
        case str():
            message.string_value = value
        case dict():
            message.struct_value.SetInParent()
            for key, field in value.items():
                _fill(message.struct_value.fields[key], field)
        case list() | tuple():
            message.list_value.SetInParent()
            for item in value:
                _fill(message.list_value.values.add(), item)
        case _:
            raise TypeError(f"{value!r:.80} has no form in a google.protobuf.Value")
