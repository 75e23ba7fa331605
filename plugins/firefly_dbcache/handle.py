"""`ctx.db`: the rows of the game's models, alike on the owner's server and on every other."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import gevent

from firefly_core.errors import Conflict, NotFound
from firefly_dbcache.model import CachedModel
from firefly_dbcache.rows.commit import Write
from firefly_dbcache.rows.table import VERSION, Table
from firefly_dbcache.store import Store
from firefly_dbcache.unit import Unit

__all__ = ["Handle"]

M = TypeVar("M", bound=CachedModel)
T = TypeVar("T")

TRIES = 16


class Handle:
    """One for all handlers of a server; it holds no state of theirs.

    What it gives are private copies: nobody else sees a change before it was saved. Every method raises TypeError for
    what is no cached model or no column, TypeError or ValueError for a value that the column does not take,
    StorageUnavailable when the row is not in memory and the database is away, Overloaded when no changes are taken just
    now, and on other servers than the owner's what a call raises (Disconnected, DeadlineExceeded).
    """

    def __init__(self, store: Store, random: random_module.Random | None = None) -> None:
        self._store = store
        self._tables = store.tables
        self._read = store.read
        self._random = random if random is not None else random_module.Random()  # noqa: S311  only spreads retries

    def _table(self, model: Any) -> Table:
        table = self._tables.get(model)
        if table is None:
            raise TypeError(f"{model!r} is not one of the db-cache's models; is its module in `models`?")
        return table

    # -------------------------------------------------------------------------------------------------------- reading

    def get(self, model: type[M], key: Any) -> M:
        """Give a private copy of the row with that key; raises NotFound."""
        table = self._tables.get(model) or self._table(model)
        plain: Any = key if key.__class__ is table.key_class else table.check_key(key)
        row = self._read(table, plain)
        if row is None:
            raise NotFound(f"{table.name} {key!r}")
        return table.instance(row)  # type: ignore[no-any-return]

    def many(self, model: type[M], keys: Iterable[Any]) -> list[M]:
        """Give private copies of those rows that exist, in the order of the keys; the cold ones are read together."""
        table = self._table(model)
        plain = [table.check_key(key) for key in keys]
        rows = self._store.read_many(table, list(dict.fromkeys(plain)))
        found = (rows[key] for key in plain)
        return [table.instance(row) for row in found if row is not None]

    def where(self, model: type[M], **conditions: Any) -> list[M]:
        """Give private copies of the rows whose columns have these values, by key; one column at least has an index.

        The keys come from a list in memory that is kept right on every change. Raises TypeError without an index, and
        StorageError when more rows have the values than `max_list` allows.
        """
        table = self._table(model)
        places = table.values({table.field_name(name): value for name, value in conditions.items()})
        return [table.instance(row) for row in self._store.find(table, places)]

    def preload(self, model: type[CachedModel]) -> int:
        """Read a whole table into the owner's memory, as far as it fits; gives the number of rows."""
        return self._store.preload(self._table(model))

    # -------------------------------------------------------------------------------------------------------- writing

    def create(self, model: type[M], **fields: Any) -> M:
        """Make a row; an automatic key is given here. Raises Conflict when the key or a unique value is taken."""
        table = self._table(model)
        made = table.new(fields)
        row = table.row(made, keyless=table.automatic)
        return table.instance(self._store.create(table, row))  # type: ignore[no-any-return]

    def save(self, model: M) -> M:
        """Store a row that was read; when it returns, the model's durability holds. Raises Conflict if the row moved.

        The object gets the new version, so it can be changed and saved again.
        """
        table = self._table(type(model))
        row = table.row(model, keyless=table.automatic)
        stored = self._store.create(table, row) if row[0] is None else self._store.save(table, row)
        data = model.__data__
        if row[0] is None:
            data[table.key.name] = stored[0]
        data["ver"] = stored[VERSION]
        return model

    def delete(self, model: CachedModel) -> None:
        """Remove a row that was read; raises Conflict if it moved, NotFound if it is gone."""
        table = self._table(type(model))
        row = table.row(model)
        if not row[VERSION]:
            raise NotFound(f"{table.name} {row[0]!r} was never stored")
        self._store.commit([Write(table, row[0], row[VERSION], None)], ())
        model.__data__["ver"] = 0

    def add(self, model: type[M], key: Any, **amounts: Any) -> M:
        """Add to numbers of a row, at the owner, so it never conflicts; gives the row as it is now.

        Raises NotFound, and ValueError when a sum is out of its column's range.
        """
        table = self._table(model)
        row = self._store.add(table, table.check_key(key), table.amounts(amounts))
        return table.instance(row)  # type: ignore[no-any-return]

    def update(self, model: type[M], key: Any, change: Callable[[M], object]) -> M:
        """Read a row, let `change` change the copy, store it; again when it moved meanwhile, up to 16 times.

        `change` may run several times, so it must do nothing else. Gives the stored row; raises NotFound and Conflict.
        """
        table = self._table(model)
        plain = table.check_key(key)
        for attempt in range(TRIES):
            turn = self._store.take_turn(table, plain) if attempt else 0
            try:
                made = self.get(model, key)
                before = table.row(made)
                change(made)
                row = table.row(made)
                if row[:2] != before[:2]:
                    raise ValueError(f"{table.name} {key!r}: an update must not change the key or the version")
                if row == before:
                    return made
                made.__data__["ver"] = self._store.save(table, row, turn)[VERSION]
                return made
            except Conflict:
                if attempt == TRIES - 1:
                    raise
            finally:
                if turn:
                    self._store.give_turn(table, plain, turn)
        raise AssertionError("unreachable")

    def transact(self, work: Callable[[Unit], T]) -> T:
        """Run `work(unit)`, then store all that the unit wrote as one record, or nothing; gives what `work` gave.

        When anything that it read has moved, it is run again with a new unit, up to 16 times; so it must do nothing but
        read and write the unit. What it raises ends the unit without a trace. Raises Conflict.
        """
        for attempt in range(TRIES):
            unit = Unit(self._store)
            try:
                done = work(unit)
                unit.end()
                return done
            except Conflict:
                if attempt == TRIES - 1:
                    raise
                gevent.sleep(self._random.random() * 0.001 * 2 ** min(attempt, 6))
        raise AssertionError("unreachable")
