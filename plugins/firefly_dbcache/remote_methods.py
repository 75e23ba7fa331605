"""What an owner answers to other servers: its store's operations on plain rows, as methods `firefly.db.*`.

An answer is `[None, result]`, or `[kind, text]` for an error that the caller must be able to tell from others. The
table comes with its shape, so that two servers with different models find out before they misread each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from firefly_core.errors import Conflict, NotFound, Overloaded, StorageError, StorageUnavailable
from firefly_dbcache.rows.commit import Write
from firefly_dbcache.rows.table import Key, Row, Table
from firefly_dbcache.store import Store

__all__ = ["ERRORS", "PREFIX", "RemoteMethods"]

PREFIX = "firefly.db."
ERRORS: Mapping[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (Conflict, NotFound, Overloaded, StorageUnavailable, StorageError, TypeError, ValueError)
}
ANSWER = 512 * 1024
"""Bytes of rows, estimated, in one answer; whoever wants more asks again."""


def _told(error: Exception) -> list[Any]:
    return [next(name for name, known in ERRORS.items() if isinstance(error, known)), str(error)]


class RemoteMethods:
    """The methods over one store."""

    def __init__(self, store: Store, tables: Sequence[Table]) -> None:
        self._store = store
        self._tables = {table.name: table for table in tables}

    def methods(self) -> dict[str, Callable[..., Any]]:
        """Give the methods by name, as the mesh calls them."""
        served = (
            self.read,
            self.save,
            self.create,
            self.commit,
            self.add,
            self.find,
            self.next_key,
            self.preload,
            self.take_turn,
            self.give_turn,
        )
        return {PREFIX + "get": self.get} | {PREFIX + method.__name__: self._answering(method) for method in served}

    def get(self, _peer: Any, name: str, shape: str, key: Any) -> Row | dict[str, list[Any]] | None:
        """Give one row: the call that games make most, without the wrapping of the others. An error is a map."""
        try:
            table = self._table(name, shape)
            if key.__class__ is not table.key_class:
                self._key(table, key)
            return self._store.read(table, key)
        except tuple(ERRORS.values()) as error:
            return {"error": _told(error)}

    @staticmethod
    def _answering(method: Callable[..., Any]) -> Callable[..., Any]:
        def answer(_peer: Any, *params: Any) -> list[Any]:
            try:
                return [None, method(*params)]
            except tuple(ERRORS.values()) as error:
                return _told(error)

        return answer

    def _table(self, name: str, shape: str) -> Table:
        table = self._tables.get(name)
        if table is None:
            raise TypeError(f"the owner has no model of the table {name!r}; is its module in the owner's `models`?")
        if table.shape != shape:
            raise TypeError(f"the owner's model of {name!r} has other columns than this server's")
        return table

    @staticmethod
    def _key(table: Table, key: Any) -> Key:
        table.check_plain_key(key)
        plain: Key = key
        return plain

    # ------------------------------------------------------------------------------------------------- the methods

    def read(self, name: str, shape: str, keys: Sequence[Any]) -> list[Row | None]:
        """Give the rows of the first of these keys, as many as fit into an answer but at least one."""
        table = self._table(name, shape)
        plain = [self._key(table, key) for key in keys]
        rows = self._store.read_many(table, plain)
        return self._fitting(table, [rows[key] for key in plain])

    @staticmethod
    def _fitting(table: Table, rows: Sequence[Row | None]) -> list[Row | None]:
        size = 0
        for count, row in enumerate(rows):
            size += 1 if row is None else table.weight(row)
            if size > ANSWER and count:
                return list(rows[:count])
        return list(rows)

    def save(self, name: str, shape: str, row: Sequence[Any], turn: int = 0) -> int:
        """Store a row; gives its new version."""
        table = self._table(name, shape)
        version: int = self._store.save(table, table.check_row(row), turn)[1]
        return version

    def create(self, name: str, shape: str, row: Sequence[Any]) -> list[Any]:
        """Store a new row; gives its key and version."""
        table = self._table(name, shape)
        checked = (None, *table.check_row([0, *row[1:]])[1:]) if row[0] is None else table.check_row(row)
        return list(self._store.create(table, checked)[:2])

    def commit(self, writes: Sequence[Any], reads: Sequence[Any]) -> None:
        """Do writes (table, shape, key, base, row or None), if reads (table, shape, key, version) have not moved."""
        made = []
        for name, shape, key, base, row in writes:
            table = self._table(name, shape)
            checked = None if row is None else table.check_row(row)
            if checked is not None and checked[0] != key:
                raise ValueError(f"the row of {name} {key!r} has another key")
            made.append(Write(table, self._key(table, key), base, checked))
        seen = []
        for name, shape, key, base in reads:
            table = self._table(name, shape)
            seen.append(((table, self._key(table, key)), base))
        self._store.commit(made, seen)

    def add(self, name: str, shape: str, key: Any, amounts: Mapping[str, Any]) -> Row:
        """Add plain amounts to columns by name; gives the row."""
        table = self._table(name, shape)
        loaded = {column: table.load(column, amount) for column, amount in amounts.items()}
        return self._store.add(table, self._key(table, key), table.amounts(loaded))

    def find(self, name: str, shape: str, conditions: Mapping[str, Any]) -> list[Any]:
        """Give the rows that fit into an answer, then the keys of the others."""
        table = self._table(name, shape)
        places = table.values({column: table.load(column, value) for column, value in conditions.items()})
        rows = self._store.find(table, places)
        fitting = self._fitting(table, rows)
        return [fitting, [row[0] for row in rows[len(fitting) :]]]

    def next_key(self, name: str, shape: str) -> int:
        """Give an automatic key."""
        table = self._table(name, shape)
        if not table.automatic:
            raise TypeError(f"{name} has no automatic key")
        return self._store.next_key(table)

    def preload(self, name: str, shape: str) -> int:
        """Read a table into memory; gives the number of rows."""
        return self._store.preload(self._table(name, shape))

    def take_turn(self, name: str, shape: str, key: Any) -> int:
        """Wait for a turn to update a row."""
        table = self._table(name, shape)
        return self._store.take_turn(table, self._key(table, key))

    def give_turn(self, name: str, shape: str, key: Any, turn: int) -> None:
        """End a turn."""
        table = self._table(name, shape)
        self._store.give_turn(table, self._key(table, key), turn)
