"""Body: a request's JSON, read more strictly than a browser would: no key twice, no NaN, no depth without end."""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeVar

import msgspec

from firefly_core.errors import PayloadError

__all__ = ["read_body"]

T = TypeVar("T")


def read_body(data: bytes, kind: type[T]) -> T:
    """Give what `data` says as a `kind`; raises PayloadError."""
    try:
        # Not bytes: those json would take in UTF-16 and with a byte order mark too.
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant) if text.strip() else {}
    except (UnicodeDecodeError, ValueError) as error:
        raise PayloadError(f"that is not JSON: {type(error).__name__}") from error
    except RecursionError as error:
        raise PayloadError("that is not JSON: too deep") from error
    try:
        made = msgspec.convert(value, kind)
        msgspec.json.encode(made)
    except msgspec.ValidationError as error:
        raise PayloadError(str(error)) from error
    except UnicodeEncodeError as error:
        raise PayloadError("that is not JSON: half of a character") from error
    return made


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(name)
