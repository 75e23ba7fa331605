"""A cached model taken apart: its columns in order, and the ways between objects, rows and the database's values."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
from peewee import CharField, CompositeKey, ForeignKeyField, IntegerField, UUIDField

from firefly_dbcache.model import CachedModel
from firefly_dbcache.rows.column import Column, column_of
from firefly_dbcache.rows.durability import Durability

__all__ = ["Index", "Key", "Row", "Table"]

Key: TypeAlias = int | str
Row: TypeAlias = tuple[Any, ...]
"""The plain values of all columns: the key first, the version second."""

VERSION = 1
LONGEST_KEY = 255


@attrs.frozen
class Index:
    """Columns, by their places in a row, that rows can be found by; `unique`: no two rows share their values."""

    places: tuple[int, ...]
    unique: bool

    def values(self, row: Row) -> tuple[Any, ...]:
        """Give a row's values in this index."""
        return tuple(row[place] for place in self.places)


class Table:
    """The shape of one cached model. Raises TypeError when the model has what the db-cache cannot hold."""

    def __init__(self, model: type[CachedModel], durability: Durability) -> None:
        if not (isinstance(model, type) and issubclass(model, CachedModel)):
            raise TypeError(f"{model!r} is not a CachedModel")
        meta = model._meta
        if meta.primary_key is False or isinstance(meta.primary_key, CompositeKey):
            raise TypeError(f"{model.__name__} needs a primary key of one column")
        self.model = model
        self.name: str = meta.table_name
        own = getattr(meta, "durability", None)
        self.durability = durability if own is None else Durability.named(own)
        self.stored = self.durability is not Durability.CACHE
        """Whether the database has a table for it."""
        self.columns = self._columns(model)
        self.names = tuple(column.name for column in self.columns)
        self.places: Mapping[str, int] = {name: place for place, name in enumerate(self.names)}
        self.key = self.columns[0]
        self.key_class = self._key_class(model)
        """The class of a key whose plain form is itself; None where it is another."""
        self.automatic = self.key.automatic
        if self.automatic and not self.stored:
            raise TypeError(f"{model.__name__} lives in the cache only, so it needs a key that is not automatic")
        self.indexes = self._indexes(model)
        self.unique = tuple(index for index in self.indexes if index.unique)
        self.shape = hashlib.sha256(self._signature().encode()).hexdigest()[:12]
        """Differs between two versions of a model whose rows cannot be exchanged."""
        self._fixed = None if any(c.weight is None for c in self.columns) else self._base_weight()
        self._base = self._base_weight()
        self._long = tuple(place for place, column in enumerate(self.columns) if column.weight is None)
        self._stores = tuple((column.name, column.store, column.null) for column in self.columns)
        self._loads = tuple((column.name, column.load) for column in self.columns if column.load is not None)
        self._sends = tuple((place, column.send) for place, column in enumerate(self.columns) if column.send)
        self._receives = tuple((place, c.receive) for place, c in enumerate(self.columns) if c.receive)

    def __repr__(self) -> str:
        return f"<Table {self.name}>"

    # ------------------------------------------------------------------------------------------ how it is built

    @staticmethod
    def _columns(model: type[CachedModel]) -> tuple[Column, ...]:
        meta = model._meta
        fields = [meta.primary_key, meta.fields["ver"]]
        fields += [field for field in meta.sorted_fields if field.name not in (fields[0].name, fields[1].name)]
        columns, wrong = [], []
        for field in fields:
            try:
                columns.append(column_of(field))
            except TypeError as error:
                wrong.append(f"{model.__name__}.{field.name}: {error}")
        if wrong:
            raise TypeError("; ".join(wrong))
        return tuple(columns)

    def _key_class(self, model: type[CachedModel]) -> type | None:
        field: Any = self.key.field
        while isinstance(field, ForeignKeyField):
            field = field.rel_field
        if isinstance(field, IntegerField):
            return int
        if isinstance(field, UUIDField):
            return None
        if isinstance(field, CharField) and 0 < (field.max_length or 0) <= LONGEST_KEY:
            return str
        raise TypeError(
            f"{model.__name__}.{self.key.name}: a key is an integer, a UUID or a CharField of at most {LONGEST_KEY}"
        )

    def _indexes(self, model: type[CachedModel]) -> tuple[Index, ...]:
        known: dict[tuple[int, ...], bool] = {
            (place,): column.unique for place, column in enumerate(self.columns) if column.indexed
        }
        for fields, unique in model._meta.indexes:
            places = tuple(self.places[getattr(field, "name", field)] for field in fields)
            known[places] = known.get(places, False) or bool(unique)
        return tuple(Index(places, unique) for places, unique in known.items())

    def _signature(self) -> str:
        parts = (f"{column.name}:{type(column.field).__name__}:{column.null}" for column in self.columns)
        return f"{self.name}({','.join(parts)})"

    def _base_weight(self) -> int:
        return 56 + sum(8 + (60 if column.weight is None else column.weight) for column in self.columns)

    # ------------------------------------------------------------------------------------------ objects and rows

    def check_key(self, key: Any) -> Key:
        """Give the plain form of a key; raises TypeError or ValueError."""
        made: Key = self.key.check(self.name, key)
        return made

    def check_plain_key(self, key: Any) -> None:
        """Raise TypeError or ValueError for what cannot be a key's plain form."""
        self._check_plain(self.key, key)

    def place(self, name: str) -> int:
        """Give a column's place in the row; raises TypeError for a name that is no column."""
        try:
            return self.places[name]
        except KeyError:
            raise TypeError(f"{self.model.__name__} has no column {name!r}") from None

    def instance(self, row: Row) -> Any:
        """Make a model object of a row; it shares nothing with any other."""
        made: Any = self.model.__new__(self.model)
        data = dict(zip(self.names, row, strict=True))
        for name, load in self._loads:
            if data[name] is not None:
                data[name] = load(data[name])
        made.__data__ = data
        made.__rel__ = {}
        made._dirty = set()
        return made

    def new(self, fields: Mapping[str, Any]) -> CachedModel:
        """Make a model object with defaults for a row to be created; raises TypeError for a name that is no column."""
        for name in fields:
            if self.place(name) == VERSION:
                raise TypeError(f"{self.model.__name__}.ver is given by the db-cache")
        return self.model(**fields)

    def row(self, instance: CachedModel, *, keyless: bool = False) -> Row:
        """Give the checked, plain row of a model object; raises TypeError or ValueError that names the column.

        `keyless` lets the key be None, for the owner to give one.
        """
        get = instance.__data__.get
        values: list[Any] = []
        stores = self._stores
        if keyless and get(self.key.name) is None:
            values.append(None)
            stores = stores[1:]
        try:
            for name, store, null in stores:
                value = get(name)
                if value is not None:
                    value = store(value)
                elif not null:
                    raise ValueError("must have a value")
                values.append(value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self.model.__name__}.{name}: {error}") from None
        return tuple(values)

    def check_row(self, values: Sequence[Any]) -> Row:
        """Check a plain row that another server sent; raises TypeError or ValueError that names the column."""
        if len(values) != len(self.columns):
            raise TypeError(f"{self.name} has {len(self.columns)} columns, not {len(values)}")
        return tuple(self._check_plain(column, value) for column, value in zip(self.columns, values, strict=True))

    def _check_plain(self, column: Column, value: Any) -> Any:
        return column.check(self.name, self.load(column.name, value))

    def load(self, name: str, value: Any) -> Any:
        """Give what a model object would hold for a column's plain value; raises TypeError for a name that is none."""
        load = self.columns[self.place(name)].load
        return value if value is None or load is None else load(value)

    def values(self, fields: Mapping[str, Any]) -> dict[int, Any]:
        """Give the checked plain values of named columns by their places; raises TypeError or ValueError."""
        places = {self.place(name): value for name, value in fields.items()}
        return {place: self.columns[place].check(self.name, value) for place, value in places.items()}

    def field_name(self, name: str) -> str:
        """Give the field that `name` means: a field's own name, or the `owner_id` of a foreign key `owner`."""
        field = self.model._meta.combined.get(name)
        return name if field is None else str(field.name)

    def amounts(self, fields: Mapping[str, Any]) -> dict[int, Any]:
        """Give the checked plain amounts to add by places; raises TypeError for a column that is no number."""
        if not fields:
            raise TypeError("nothing to add")
        for name in fields:
            if self.place(name) in (0, VERSION) or not self.columns[self.place(name)].numeric:
                raise TypeError(f"{self.model.__name__}.{name} is no number to add to")
        return self.values(fields)

    def added(self, row: Row, amounts: Mapping[int, Any]) -> Row:
        """Give a row with plain amounts added; raises ValueError when a sum is out of its column's range."""
        values = list(row)
        for place, amount in amounts.items():
            column = self.columns[place]
            value = values[place]
            if value is None or amount is None:
                raise ValueError(f"{self.name}.{column.name} of {row[0]!r} has no value to add to")
            load = column.load
            values[place] = column.check(self.name, value + amount if load is None else load(value) + load(amount))
        return tuple(values)

    def weight(self, row: Row) -> int:
        """Estimate the bytes of memory that a row takes."""
        if self._fixed is not None:
            return self._fixed
        total = self._base
        for place in self._long:
            value = row[place]
            if value is not None:
                total += len(value)
        return total

    # ------------------------------------------------------------------------------------------ the database's side

    def send(self, row: Row) -> Row:
        """Give a row as the database's driver takes it."""
        return self._turn(row, self._sends)

    def receive(self, values: Sequence[Any]) -> Row:
        """Give the row for what the database's driver gave; raises TypeError or ValueError when it does not fit."""
        return self._turn(tuple(values), self._receives)

    @staticmethod
    def _turn(row: Row, turns: Iterable[tuple[int, Callable[[Any], Any]]]) -> Row:
        if not turns:
            return row
        values = list(row)
        for place, turn in turns:
            if values[place] is not None:
                values[place] = turn(values[place])
        return tuple(values)
