"""One column of a cached model: which values it takes, and how they stand in the journal and in the database.

A *plain* value is what rows hold: None, bool, int, float, str or bytes, so that a row is msgpack as it is, can be
compared, and shares nothing with the objects that a handler has in hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from peewee import (
    AutoField,
    BigAutoField,
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    DateField,
    DateTimeField,
    DecimalField,
    DoubleField,
    Field,
    FloatField,
    ForeignKeyField,
    IntegerField,
    JSONField,
    SmallIntegerField,
    TextField,
    TimeField,
    UUIDField,
)

from firefly_dbcache.rows import plain

__all__ = ["Column", "column_of"]

RANGES: dict[type[Field], tuple[int, int]] = {
    SmallIntegerField: (-(2**15), 2**15 - 1),
    IntegerField: (-(2**31), 2**31 - 1),
    AutoField: (-(2**31), 2**31 - 1),
    BigIntegerField: (-(2**63), 2**63 - 1),
    BigAutoField: (-(2**63), 2**63 - 1),
}


@attrs.frozen(eq=False)
class Column:
    """One column: `store` checks a value and makes it plain, `load` turns it back for a model object."""

    name: str
    """The field's name in the model."""
    column: str
    """The column's name in the database."""
    field: Field
    null: bool
    store: Callable[[Any], Any]
    """Give the plain form of a value; raises TypeError or ValueError that says what is wrong, without the column."""
    load: Callable[[Any], Any] | None
    """Turn a plain value that is not None into what the model's object holds; None: it is the same."""
    send: Callable[[Any], Any] | None
    """Turn a plain value that is not None into what the database's driver takes; None: it is the same."""
    receive: Callable[[Any], Any] | None
    """Turn what the driver gave (not None) into the plain value; None: it is the same."""
    weight: int | None
    """Bytes that a value takes in memory; None: as long as the value."""
    low: float | None = None
    high: float | None = None
    places: int | None = None
    indexed: bool = False
    unique: bool = False
    searched: bool = False
    """Whether it belongs to an index."""
    automatic: bool = False
    """Whether the owner makes the value of a new row."""

    @property
    def numeric(self) -> bool:
        """Whether `add` works on it."""
        return self.high is not None or isinstance(self.field, DecimalField)

    def check(self, table: str, value: Any) -> Any:
        """Give the plain form of `value`; raises TypeError or ValueError that names table and column."""
        if value is None:
            if self.null:
                return None
            raise ValueError(f"{table}.{self.name} must have a value")
        try:
            return self.store(value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{table}.{self.name}: {error}") from None


def _kind(field: Field) -> type[Field]:
    """Give the supported class that `field` behaves like; raises TypeError."""
    for known in type(field).__mro__:
        if known in KINDS or known in RANGES or known is ForeignKeyField:
            same = all(
                getattr(type(field), name) is getattr(known, name) for name in ("adapt", "db_value", "python_value")
            )
            if same:
                return known
            break
    raise TypeError(f"{type(field).__name__} is not a field that the db-cache can hold")


def _in_an_index(field: Field) -> bool:
    many = field.model._meta.indexes
    return any(getattr(part, "name", part) == field.name for parts, _ in many for part in parts)


def column_of(field: Field) -> Column:
    """Describe the column of a bound field; raises TypeError for fields that the db-cache cannot hold."""
    source = field
    while isinstance(source, ForeignKeyField):
        _kind(source)
        source = source.rel_field
    kind = _kind(source)
    about: dict[str, Any] = {
        "name": field.name,
        "column": field.column_name,
        "field": field,
        "null": bool(field.null),
        "indexed": bool(field.index or field.unique) and not field.primary_key,
        "unique": bool(field.unique) and not field.primary_key,
        "searched": bool(field.index or field.unique) or _in_an_index(field),
        "automatic": isinstance(field, AutoField),
    }
    if kind in RANGES:
        low, high = RANGES[kind]
        whole = plain.whole(low, high)
        return Column(store=whole, load=None, send=None, receive=None, weight=40, low=low, high=high, **about)
    return Column(**KINDS[kind](source), **about)


def _boolean(_field: Field) -> dict[str, Any]:
    return {"store": plain.boolean, "load": None, "send": None, "receive": bool, "weight": 8}


def _real(_field: Field) -> dict[str, Any]:
    limit = 1.7976931348623157e308
    return {
        "store": plain.real,
        "load": None,
        "send": None,
        "receive": float,
        "weight": 32,
        "low": -limit,
        "high": limit,
    }


def _text(field: Field) -> dict[str, Any]:
    store = plain.text(field.max_length if isinstance(field, CharField) else None)
    return {"store": store, "load": None, "send": None, "receive": None, "weight": None}


def _blob(_field: Field) -> dict[str, Any]:
    return {"store": plain.blob, "load": None, "send": None, "receive": bytes, "weight": None}


def _decimal(field: Any) -> dict[str, Any]:
    store, load = plain.decimals(field.max_digits, field.decimal_places)
    receive = lambda value: store(load(str(value)))  # noqa: E731
    return {
        "store": store,
        "load": load,
        "send": load,
        "receive": receive,
        "weight": 72,
        "places": field.decimal_places,
    }


def _moment(store: Callable[[Any], Any], load: Callable[[Any], Any]) -> Callable[[Field], dict[str, Any]]:
    def describe(field: Any) -> dict[str, Any]:
        receive = lambda value: store(field.python_value(value))  # noqa: E731
        return {"store": store, "load": load, "send": load, "receive": receive, "weight": 80}

    return describe


def _uuid(_field: Field) -> dict[str, Any]:
    receive = lambda value: plain.uuid(value if isinstance(value, plain.UUID) else plain.UUID(str(value)))  # noqa: E731
    return {"store": plain.uuid, "load": plain.UUID, "send": None, "receive": receive, "weight": 88}


def _json(_field: Field) -> dict[str, Any]:
    receive = lambda value: plain.json(plain.from_json(value) if isinstance(value, str | bytes) else value)  # noqa: E731
    return {"store": plain.json, "load": plain.from_json, "send": None, "receive": receive, "weight": None}


KINDS: dict[type[Field], Callable[[Field], dict[str, Any]]] = {
    BooleanField: _boolean,
    FloatField: _real,
    DoubleField: _real,
    CharField: _text,
    TextField: _text,
    BlobField: _blob,
    DecimalField: _decimal,
    DateTimeField: _moment(plain.datetime, plain.from_datetime),
    DateField: _moment(plain.date, plain.from_date),
    TimeField: _moment(plain.time, plain.from_time),
    UUIDField: _uuid,
    JSONField: _json,
}
