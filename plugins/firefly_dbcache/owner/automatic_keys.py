"""Automatic keys: the owner gives them, so that a row can be made without asking the database."""

from __future__ import annotations

from firefly_core.errors import Overloaded
from firefly_dbcache.owner.memory import Memory
from firefly_dbcache.rows.table import Key, Table

__all__ = ["AutomaticKeys"]


class AutomaticKeys:
    """The next key of each table whose keys are automatic. That no row has it is put into the memory of rows."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._next: dict[Table, int] = {}

    def begin(self, table: Table, highest: int) -> None:
        """Go on behind the highest key that a table ever had."""
        self._next[table] = highest + 1

    def next(self, table: Table) -> int:
        """Give a key that no row has or had; raises Overloaded when there is none left."""
        key = self._next[table]
        if key > (table.key.high or 0):
            raise Overloaded(f"{table.name} has no keys left")
        self._next[table] = key + 1
        self._memory.put(table, key, None)
        return key

    def note(self, table: Table, key: Key) -> None:
        """A row is to be made with a key of somebody's own choice: automatic ones go on behind it."""
        if table.automatic and isinstance(key, int) and key >= self._next[table]:
            self._next[table] = key + 1
            self._memory.put(table, key, None)
