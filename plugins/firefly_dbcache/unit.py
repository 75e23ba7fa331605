"""A unit: several rows read and written together, all or nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from firefly_core.errors import Conflict, NotFound, StorageError
from firefly_dbcache.model import CachedModel
from firefly_dbcache.rows.commit import Write
from firefly_dbcache.rows.overlay import Place
from firefly_dbcache.rows.table import VERSION, Row, Table
from firefly_dbcache.store import Store

__all__ = ["Unit"]

M = TypeVar("M", bound=CachedModel)


class Unit:
    """What `ctx.db.transact(fn)` hands to `fn`. Nothing is stored before `fn` has returned.

    Every row that was read must still be the same when the unit is stored, written or not, or `fn` is run again with
    a new unit. A unit sees its own writes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[Place, Row | None] = {}
        """Each row as this unit sees it now."""
        self._bases: dict[Place, int] = {}
        """The version with which each row was found; 0: there was none."""
        self._written: dict[Place, None] = {}
        self._ended = False

    def _table(self, model: type[CachedModel]) -> Table:
        if self._ended:
            raise StorageError("this unit has ended; use the one that is handed to the function")
        try:
            return self._store.tables[model]
        except KeyError:
            raise TypeError(f"{model!r} is not one of the db-cache's models") from None

    def _read(self, place: Place) -> Row | None:
        if place not in self._seen:
            row = self._store.read(*place)
            self._seen[place] = row
            self._bases[place] = 0 if row is None else row[VERSION]
        return self._seen[place]

    def _write(self, place: Place, row: Row | None) -> None:
        self._seen[place] = row
        self._written[place] = None

    def _as_read(self, model: CachedModel) -> tuple[Place, Row]:
        """Give place and row of an object that was read; raises Conflict when it is known to have moved."""
        table = self._table(type(model))
        row = table.row(model)
        place = (table, row[0])
        base = self._bases.setdefault(place, row[VERSION])
        if base != row[VERSION]:
            raise Conflict(f"{table.name} {row[0]!r} was read at version {row[VERSION]}, this unit found {base}")
        return place, row

    # ------------------------------------------------------------------------------------------------- for handlers

    def get(self, model: type[M], key: Any) -> M:
        """Give a private copy of a row; raises NotFound."""
        table = self._table(model)
        row = self._read((table, table.check_key(key)))
        if row is None:
            raise NotFound(f"{table.name} {key!r}")
        return table.instance(row)  # type: ignore[no-any-return]

    def many(self, model: type[M], keys: Iterable[Any]) -> list[M]:
        """Give private copies of those rows that exist, in the order of the keys."""
        table = self._table(model)
        plain = [table.check_key(key) for key in keys]
        missing = [key for key in plain if (table, key) not in self._seen]
        for key, row in self._store.read_many(table, missing).items() if missing else ():
            self._seen[table, key] = row
            self._bases[table, key] = 0 if row is None else row[VERSION]
        rows = (self._seen[table, key] for key in plain)
        return [table.instance(row) for row in rows if row is not None]

    def save(self, model: M) -> M:
        """Write a row that was read, in this unit or before it; raises Conflict when it is known to have moved."""
        place, row = self._as_read(model)
        self._write(place, row)
        return model

    def create(self, model: type[M], **fields: Any) -> M:
        """Make a new row; raises Conflict when it is there already, TypeError for a name that is no column."""
        table = self._table(model)
        made = table.new(fields)
        if table.automatic and made.__data__.get(table.key.name) is None:
            made.__data__[table.key.name] = self._store.next_key(table)
            place = (table, made.__data__[table.key.name])
            self._seen[place], self._bases[place] = None, 0
        row = table.row(made)
        place = (table, row[0])
        if self._read(place) is not None:
            raise Conflict(f"{table.name} {row[0]!r} exists already")
        self._write(place, (row[0], self._bases[place], *row[2:]))
        return table.instance(self._seen[place])  # type: ignore[no-any-return,arg-type]

    def add(self, model: type[M], key: Any, **amounts: Any) -> M:
        """Add to numbers of a row; raises NotFound, and ValueError when a sum is out of its column's range."""
        table = self._table(model)
        place = (table, table.check_key(key))
        row = self._read(place)
        if row is None:
            raise NotFound(f"{table.name} {key!r}")
        self._write(place, table.added(row, table.amounts(amounts)))
        return table.instance(self._seen[place])  # type: ignore[no-any-return,arg-type]

    def delete(self, model: CachedModel) -> None:
        """Remove a row that was read; raises NotFound, and Conflict when it is known to have moved."""
        place, row = self._as_read(model)
        if self._seen.get(place, row) is None:
            raise NotFound(f"{place[0].name} {row[0]!r}")
        self._write(place, None)

    # ---------------------------------------------------------------------------------------------------- the end

    def end(self) -> None:
        """Store the unit; raises Conflict when anything it read has moved."""
        self._ended = True
        writes = []
        for place in self._written:
            row = self._seen[place]
            if row is not None or self._bases[place]:  # a row that this unit made and removed never was
                writes.append(Write(*place, self._bases[place], row))
        reads = [(place, base) for place, base in self._bases.items() if place not in self._written]
        if writes or len(reads) > 1:
            self._store.commit(writes, reads)
