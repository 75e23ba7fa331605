"""The store of the owner's own process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from firefly_dbcache.model import CachedModel
from firefly_dbcache.owner.owner import Owner
from firefly_dbcache.owner.reader import Cold
from firefly_dbcache.owner.turns import Turns
from firefly_dbcache.rows.commit import Write
from firefly_dbcache.rows.overlay import Place
from firefly_dbcache.rows.table import Key, Row, Table

__all__ = ["LocalStore"]

CHUNK = 1000


class LocalStore:
    """Direct access to an owner."""

    def __init__(self, owner: Owner) -> None:
        self.tables: Mapping[type[CachedModel], Table] = {table.model: table for table in owner.tables.values()}
        self.turns = Turns()
        self.read = owner.reader.read
        self._save = owner.writer.save
        self._owner = owner

    def read_many(self, table: Table, keys: Sequence[Key]) -> Mapping[Key, Row | None]:
        return self._owner.reader.read_many(table, keys)

    def save(self, table: Table, row: Row, turn: int = 0) -> Row:
        if not turn and self.turns.lines and (table, row[0]) in self.turns.lines:
            turn = self.turns.take((table, row[0]))
            try:
                return self._save(table, row)
            finally:
                self.turns.give((table, row[0]), turn)
        return self._save(table, row)

    def add(self, table: Table, key: Key, amounts: Mapping[int, Any]) -> Row:
        if (table, key) not in self.turns.lines:
            return self._owner.writer.add(table, key, amounts)
        turn = self.turns.take((table, key))
        try:
            return self._owner.writer.add(table, key, amounts)
        finally:
            self.turns.give((table, key), turn)

    def create(self, table: Table, row: Row) -> Row:
        key = row[0]
        if key is None:
            key = self.next_key(table)
            row = (key, 0, *row[2:])
        else:
            self._owner.keys.note(table, key)
        (write,) = self._owner.writer.commit([Write(table, key, 0, row)])
        assert write.row is not None
        return write.row

    def next_key(self, table: Table) -> int:
        return self._owner.keys.next(table)

    def commit(self, writes: Sequence[Write], reads: Iterable[tuple[Place, int]]) -> Sequence[Write]:
        for write in writes:
            if write.base == 0:
                self._owner.keys.note(write.table, write.key)
        return self._owner.writer.commit(writes, reads)

    def find(self, table: Table, conditions: Mapping[int, Any]) -> Sequence[Row]:
        return self._owner.reader.find(table, dict(conditions))

    def preload(self, table: Table) -> int:
        owner = self._owner
        count, after = 0, None
        rotations = owner.memory.rotations
        while owner.memory.rotations <= rotations + 1:
            rows = owner.storage.scan(table, after, CHUNK)
            for key, row in rows.items():
                if isinstance(owner.reader.peek(table, key), Cold):
                    owner.reader.seen(table, key, row)
                after = key
            count += len(rows)
            if len(rows) < CHUNK:
                break
        return count

    def take_turn(self, table: Table, key: Key) -> int:
        return self.turns.take((table, key))

    def give_turn(self, table: Table, key: Key, turn: int) -> None:
        self.turns.give((table, key), turn)
