"""Reading rows at the owner: what is not in the database yet, then memory, then the second level, then the database.

Of all who want the same cold row one reads it, the others wait for his answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gevent.event import Event

from firefly_core.errors import StorageError
from firefly_dbcache.caches.second_level import SecondLevel
from firefly_dbcache.database.storage import Storage
from firefly_dbcache.owner.key_lists import KeyLists
from firefly_dbcache.owner.memory import Memory
from firefly_dbcache.rows.durability import Durability
from firefly_dbcache.rows.overlay import Overlay, Place
from firefly_dbcache.rows.table import Index, Key, Row, Table

__all__ = ["COLD", "Reader"]


class Cold:
    """The one object that says: not in memory."""

    def __repr__(self) -> str:
        return "COLD"


COLD: Final = Cold()


class _Flight:
    """A cold row that somebody is reading."""

    __slots__ = ("done", "error", "row")

    def __init__(self) -> None:
        self.done = Event()
        self.row: Row | Cold | None = COLD
        self.error: StorageError | None = None


class Reader:
    """The read path. Every method raises StorageUnavailable when a cold row is wanted and the database is away."""

    def __init__(
        self, memory: Memory, overlay: Overlay, second: SecondLevel, storage: Storage, lists: KeyLists
    ) -> None:
        self.hits = 0
        self.misses = 0
        self.database_reads = 0
        self.lists = lists
        self._memory = memory
        self._overlay = overlay
        self._second = second
        self._storage = storage
        self._flights: dict[Place, _Flight] = {}
        self._list_flights: dict[Any, Event] = {}

    def peek(self, table: Table, key: Key) -> Row | Cold | None:
        """Give a row, None when it is known that there is none, or COLD; never waits."""
        rows = self._memory.rows[table]
        row: Row | Cold | None = rows.young.get(key, COLD)
        if row is not COLD:
            return row
        change = self._overlay.find(table, key)
        if change is not None:
            row = change.row
        else:
            row = rows.old.pop(key, COLD)
            if isinstance(row, Cold):
                return COLD
        assert not isinstance(row, Cold)
        self._memory.put(table, key, row)
        return row

    def read(self, table: Table, key: Key) -> Row | None:
        """Give a row, or None when there is none."""
        row = self.peek(table, key)
        if isinstance(row, Cold):
            return self._load(table, [key])[key]
        self.hits += 1
        return row

    def read_many(self, table: Table, keys: Iterable[Key]) -> dict[Key, Row | None]:
        """Give rows by key, None for those that do not exist; cold ones are read together."""
        found: dict[Key, Row | None] = {}
        cold = []
        for key in keys:
            row = self.peek(table, key)
            if isinstance(row, Cold):
                cold.append(key)
            else:
                found[key] = row
        self.hits += len(found)
        if cold:
            found.update(self._load(table, cold))
        return found

    # -------------------------------------------------------------------------------------------------- cold rows

    def _load(self, table: Table, keys: Sequence[Key]) -> dict[Key, Row | None]:
        found: dict[Key, Row | None] = {}
        for key in keys:
            table.check_plain_key(key)
        others: list[tuple[Key, _Flight]] = []
        mine: dict[Key, _Flight] = {}
        for key in keys:
            flight = self._flights.get((table, key))
            if flight is not None:
                others.append((key, flight))
            elif key not in mine:
                mine[key] = self._flights[table, key] = _Flight()
        if mine:
            found.update(self._lead(table, mine))
        for key, flight in others:
            flight.done.wait()
            if flight.error is not None:
                raise type(flight.error)(*flight.error.args)
            if isinstance(flight.row, Cold):  # its reader was killed
                found[key] = self.read(table, key)
            else:
                found[key] = flight.row
        return found

    def _lead(self, table: Table, flights: dict[Key, _Flight]) -> dict[Key, Row | None]:
        self.misses += len(flights)
        try:
            rows = self._fetch(table, list(flights))
            found: dict[Key, Row | None] = {}
            for key, flight in flights.items():
                row = self.peek(table, key)
                if isinstance(row, Cold):
                    row = rows.get(key)
                    self._memory.put(table, key, row)
                flight.row = found[key] = row
            return found
        except StorageError as error:
            for flight in flights.values():
                flight.error = error
            raise
        finally:
            for key, flight in flights.items():
                del self._flights[table, key]
                flight.done.set()

    def _fetch(self, table: Table, keys: list[Key]) -> dict[Key, Row]:
        if table.durability is Durability.CACHE:
            return self._second.fetch(table, keys)
        rows = self._second.read(table, keys)
        missing = [key for key in keys if key not in rows]
        if missing:
            self.database_reads += 1
            fresh = self._storage.read(table, missing)
            for key, row in fresh.items():
                self._second.put(table, key, row)
            rows.update(fresh)
        return rows

    # -------------------------------------------------------------------------------------------------- key lists

    def keys(self, table: Table, index: Index, values: tuple[Any, ...]) -> set[Key]:
        """Give the keys of the rows with these values in an index; the set must not be changed."""
        name = (table, index, values)
        while True:
            keys = self.lists.get(table, index, values)
            if keys is not None:
                return keys
            flight = self._list_flights.get(name)
            if flight is not None:
                flight.wait()
                continue
            flight = self._list_flights[name] = Event()
            try:
                return self._load_keys(table, index, values)
            finally:
                del self._list_flights[name]
                flight.set()

    def _load_keys(self, table: Table, index: Index, values: tuple[Any, ...]) -> set[Key]:
        if table.durability is Durability.CACHE:
            raise TypeError(f"{table.name} is kept in the cache only, which cannot be searched")
        self.database_reads += 1
        return self.lists.load(
            table,
            index,
            values,
            lambda places, wanted, limit: self._storage.find(table, places, wanted, limit),
            self._unflushed,
            lambda key, row: self.seen(table, key, row),
        )

    def _unflushed(self) -> Iterable[tuple[Place, Row | None]]:
        overlay = self._overlay
        for place, change in [*overlay.buried.items(), *overlay.flushing.items(), *overlay.waiting.items()]:
            yield place, change.row

    def seen(self, table: Table, key: Key, row: Row) -> None:
        """Hold a row that was read from the database and has not changed since, unless a newer one is in memory."""
        if self.peek(table, key) is COLD and (table, key) not in self._flights:
            self._memory.put(table, key, row)

    def find(self, table: Table, conditions: dict[int, Any]) -> list[Row]:
        """Give the rows whose columns (by place) have these values, by key; raises TypeError without an index."""
        index = self._index(table, conditions)
        keys = sorted(self.keys(table, index, tuple(conditions[place] for place in index.places)))
        rows = self.read_many(table, keys)
        wanted = conditions.items()
        found = (rows[key] for key in keys)
        return [row for row in found if row is not None and all(row[place] == value for place, value in wanted)]

    @staticmethod
    def _index(table: Table, conditions: dict[int, Any]) -> Index:
        best: Index | None = None
        for index in table.indexes:
            if conditions.keys() >= set(index.places) and (best is None or len(index.places) > len(best.places)):
                best = index
        if best is None:
            names = ", ".join(table.names[place] for place in conditions) or "nothing"
            raise TypeError(f"{table.model.__name__} has no index on {names}: where() needs one")
        return best
