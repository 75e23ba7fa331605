"""The keys of the rows that have certain values in an index: what `where` reads, kept right on every change.

A list is read from the database once. While that query runs, every change of its table is noted and wins over what the
query gives, so that a list is never older than a change that was acknowledged before it was complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from firefly_core.errors import StorageError
from firefly_dbcache.rows.overlay import Place
from firefly_dbcache.rows.table import Index, Key, Row, Table

__all__ = ["KeyLists"]

Name = tuple[Table, Index, tuple[Any, ...]]


@attrs.define(eq=False)
class _Loading:
    """A list that is being read; `touched` are the rows that changed meanwhile."""

    touched: dict[Key, Row | None] = attrs.field(factory=dict)


class KeyLists:
    """Every list in memory: at most `limit` keys in all, the lists not used for longest going first."""

    def __init__(self, limit: int, longest: int) -> None:
        self.longest = longest
        self.total = 0
        self._limit = limit
        self._lists: dict[Name, set[Key]] = {}
        self._loading: dict[Table, list[_Loading]] = {}

    def get(self, table: Table, index: Index, values: tuple[Any, ...]) -> set[Key] | None:
        """Give a list if it is in memory; it must not be changed."""
        name = (table, index, values)
        keys = self._lists.pop(name, None)
        if keys is not None:
            self._lists[name] = keys  # now the one used last
        return keys

    def load(
        self,
        table: Table,
        index: Index,
        values: tuple[Any, ...],
        query: Callable[[Sequence[int], Sequence[Any], int], dict[Key, Row]],
        newer: Callable[[], Iterable[tuple[Place, Row | None]]],
        seen: Callable[[Key, Row], None],
    ) -> set[Key]:
        """Read a list by `query` (places, values, limit); `newer` gives the rows that the database has not got yet.

        `seen` is told each row that the query gave and that did not change meanwhile. Raises StorageError when the list
        is longer than allowed, and what the query raises.
        """
        loading = _Loading()
        for (owner, key), row in newer():
            if owner is table:
                loading.touched[key] = row
        self._loading.setdefault(table, []).append(loading)
        try:
            found = query(index.places, values, self.longest + 1)
        finally:
            self._loading[table].remove(loading)
        keys = set()
        for key, row in found.items():
            if key not in loading.touched and index.values(row) == values:
                keys.add(key)
                seen(key, row)
        keys.update(key for key, row in loading.touched.items() if row is not None and index.values(row) == values)
        if len(keys) > self.longest:
            raise StorageError(f"more than {self.longest} rows of {table.name} have these values: read them by SQL")
        self._keep((table, index, values), keys)
        return keys

    def _keep(self, name: Name, keys: set[Key]) -> None:
        before = self._lists.pop(name, None)
        self._lists[name] = keys
        self.total += 1 + len(keys) - (0 if before is None else 1 + len(before))
        while self.total > self._limit and len(self._lists) > 1:
            oldest = next(iter(self._lists))
            self.total -= 1 + len(self._lists.pop(oldest))

    def changed(self, table: Table, key: Key, old: Row | None, new: Row | None) -> None:
        """Keep every list right: a row of an indexed table was changed, made (`old` None) or deleted (`new` None)."""
        for index in table.indexes:
            before = None if old is None else index.values(old)
            after = None if new is None else index.values(new)
            if before == after:
                continue
            if before is not None:
                keys = self._lists.get((table, index, before))
                if keys is not None and key in keys:
                    keys.remove(key)
                    self.total -= 1
            if after is not None:
                keys = self._lists.get((table, index, after))
                if keys is not None and key not in keys:
                    self.total += 1
                    keys.add(key)
                    if len(keys) > self.longest:
                        self.total -= 1 + len(self._lists.pop((table, index, after)))
        for loading in self._loading.get(table, ()):
            loading.touched[key] = new

    def forget(self, table: Table) -> None:
        """Drop every list of a table."""
        for name in [name for name in self._lists if name[0] is table]:
            self.total -= 1 + len(self._lists.pop(name))

    def __len__(self) -> int:
        return len(self._lists)
