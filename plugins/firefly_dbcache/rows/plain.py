"""Checks that turn the values of a model's object into plain ones, refusing before the journal what a database would.

What passes here is stored alike by SQLite, PostgreSQL and MySQL, so that memory and database never differ.
"""

from __future__ import annotations

import datetime as dates
import decimal
import json as jsons
import math
from collections.abc import Callable
from typing import Any
from uuid import UUID

__all__ = [
    "UUID",
    "blob",
    "boolean",
    "date",
    "datetime",
    "decimals",
    "from_date",
    "from_datetime",
    "from_json",
    "from_time",
    "json",
    "real",
    "text",
    "time",
    "uuid",
    "whole",
]


def _wrong(value: Any, needs: str) -> TypeError:
    return TypeError(f"needs {needs}, not {type(value).__name__}")


def whole(low: int, high: int) -> Callable[[Any], int]:
    """Make a check for integers from `low` to `high`; True and False are none."""

    def store(value: Any) -> int:
        if value.__class__ is not int:
            raise _wrong(value, "an int")
        if low <= value <= high:
            return int(value)
        raise ValueError(f"{value} is not between {low} and {high}")

    return store


def boolean(value: Any) -> bool:
    """Accept True and False."""
    if value.__class__ is not bool:
        raise _wrong(value, "a bool")
    return bool(value)


def real(value: Any) -> float:
    """Accept a finite number."""
    if value.__class__ is not float:
        if value.__class__ is not int:
            raise _wrong(value, "a float")
        try:
            value = float(value)
        except OverflowError:
            raise ValueError("is not a finite number") from None
    if math.isfinite(value):
        return float(value)
    raise ValueError("is not a finite number")


def text(limit: int | None) -> Callable[[Any], str]:
    """Make a check for texts of at most `limit` characters that every database can store."""

    def store(value: Any) -> str:
        if value.__class__ is not str:
            raise _wrong(value, "a str")
        if limit is not None and len(value) > limit:
            raise ValueError(f"{len(value)} characters are more than {limit}")
        if "\0" in value:
            raise ValueError("holds a NUL character")
        if not value.isascii():
            _check_unicode(value)
        return str(value)

    return store


def _check_unicode(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair") from None


unlimited = text(None)


def blob(value: Any) -> bytes:
    """Accept bytes."""
    if value.__class__ is bytes:
        return bytes(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise _wrong(value, "bytes")


def decimals(digits: int, places: int) -> tuple[Callable[[Any], str], Callable[[str], decimal.Decimal]]:
    """Make a check for decimals of `digits` digits, `places` of them behind the point, and the way back."""
    exponent = decimal.Decimal(1).scaleb(-places)
    limit = decimal.Decimal(1).scaleb(digits - places)
    context = decimal.Context(prec=max(digits, 1) + 2, traps=[decimal.InvalidOperation])

    def store(value: Any) -> str:
        if value.__class__ is int:
            value = decimal.Decimal(value)
        if not isinstance(value, decimal.Decimal):
            raise _wrong(value, "a Decimal")
        if not value.is_finite() or abs(value) >= limit:
            raise ValueError(f"does not fit {digits} digits, {places} of them behind the point")
        exact = value.quantize(exponent, context=context)
        if exact != value:
            raise ValueError(f"has more than {places} digits behind the point")
        return str(exact)

    return store, decimal.Decimal


def datetime(value: Any) -> str:
    """Accept a datetime without a zone."""
    if not isinstance(value, dates.datetime):
        raise _wrong(value, "a datetime")
    if value.tzinfo is not None:
        raise ValueError("has a time zone, which databases keep differently; store UTC without one")
    return value.isoformat()


from_datetime = dates.datetime.fromisoformat


def date(value: Any) -> str:
    """Accept a date."""
    if not isinstance(value, dates.date) or isinstance(value, dates.datetime):
        raise _wrong(value, "a date")
    return value.isoformat()


from_date = dates.date.fromisoformat


def time(value: Any) -> str:
    """Accept a time without a zone."""
    if not isinstance(value, dates.time):
        raise _wrong(value, "a time")
    if value.tzinfo is not None:
        raise ValueError("has a time zone, which databases keep differently")
    return value.isoformat()


from_time = dates.time.fromisoformat


def uuid(value: Any) -> str:
    """Accept a UUID."""
    if not isinstance(value, UUID):
        raise _wrong(value, "a UUID")
    return value.hex


def json(value: Any) -> str:
    """Accept what JSON can say: None, bools, ints, finite floats, texts, lists and dicts with text keys."""
    try:
        _check_json(value, 0)
        return jsons.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"), sort_keys=True)
    except RecursionError:
        raise ValueError("is nested too deep") from None


def _check_json(value: Any, depth: int) -> None:
    """Refuse what json.dumps would bend: tuples and keys that are no texts come back as something else."""
    if depth > 32:
        raise ValueError("is nested deeper than 32")
    if value.__class__ is dict:
        for name, item in value.items():
            unlimited(name)
            _check_json(item, depth + 1)
    elif value.__class__ is list:
        for item in value:
            _check_json(item, depth + 1)
    elif value.__class__ is str:
        unlimited(value)
    elif value.__class__ is int:
        whole(-(2**63), 2**63 - 1)(value)
    elif value.__class__ is float:
        real(value)
    elif value is not None and value.__class__ is not bool:
        raise _wrong(value, "what JSON can say")


def from_json(value: str | bytes) -> Any:
    """Give the value of a stored JSON text, new at each call."""
    return jsons.loads(value)
