"""The owner's memory of rows, bounded by their estimated size, the ones not used for longest going first.

Two generations a table instead of a linked list: a row that is used is in `young`; when half of the limit is young, the
old generation is dropped, the young one becomes old, and what is used again moves back. A hit costs one dict lookup.
"""

from __future__ import annotations

from collections.abc import Iterable

from firefly_dbcache.rows.table import Key, Row, Table

__all__ = ["Memory", "Rows"]


class Rows:
    """The rows of one table in memory: key to row, or to None where it is known that there is no such row."""

    __slots__ = ("old", "table", "young")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.young: dict[Key, Row | None] = {}
        self.old: dict[Key, Row | None] = {}


class Memory:
    """Every table's rows. A row that is not flushed must be held elsewhere too: it may be dropped here."""

    ABSENT = 100
    """Bytes that the knowledge of a missing row takes."""

    def __init__(self, tables: Iterable[Table], limit: int) -> None:
        self.rows = {table: Rows(table) for table in tables}
        self.rotations = 0
        self._half = max(limit // 2, 1)
        self._weight = 0

    def put(self, table: Table, key: Key, row: Row | None) -> None:
        """Hold a row, or that there is none."""
        rows = self.rows[table]
        young = rows.young
        weight = self.ABSENT if row is None else table.weight(row)
        if key in young:
            before = young[key]
            weight -= self.ABSENT if before is None else table.weight(before)
        young[key] = row
        self._weight += weight
        if self._weight > self._half:
            self._rotate()

    def forget(self, table: Table, key: Key) -> None:
        """Drop what is known of a key."""
        rows = self.rows[table]
        rows.young.pop(key, None)
        rows.old.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        for rows in self.rows.values():
            rows.young, rows.old = {}, {}
        self._weight = 0

    def _rotate(self) -> None:
        for rows in self.rows.values():
            rows.old, rows.young = rows.young, {}
        self._weight = 0
        self.rotations += 1

    @property
    def held(self) -> int:
        """How many rows it holds; one that is in both generations counts twice."""
        return sum(len(rows.young) + len(rows.old) for rows in self.rows.values())

    def __len__(self) -> int:
        return sum(len(rows.young | rows.old) for rows in self.rows.values())
