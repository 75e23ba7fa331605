"""What `ctx.db` stands on: the rows of the owner, in this process or another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from firefly_dbcache.model import CachedModel
from firefly_dbcache.rows.commit import Write
from firefly_dbcache.rows.overlay import Place
from firefly_dbcache.rows.table import Key, Row, Table

__all__ = ["Store"]


class Store(Protocol):
    """The operations on plain rows. Every one may raise Overloaded and StorageUnavailable."""

    @property
    def tables(self) -> Mapping[type[CachedModel], Table]:
        """Give the tables of the models."""

    def read(self, table: Table, key: Key) -> Row | None:
        """Give a row, or None when there is none."""

    def read_many(self, table: Table, keys: Sequence[Key]) -> Mapping[Key, Row | None]:
        """Give rows by key."""

    def save(self, table: Table, row: Row, turn: int = 0) -> Row:
        """Store a row that was read, or a new one with version 0; gives it with its new version. Raises Conflict.

        While somebody else has a turn at the row, whoever has none waits for it.
        """

    def create(self, table: Table, row: Row) -> Row:
        """Store a new row; the owner makes its key where that is automatic and None. Raises Conflict."""

    def commit(self, writes: Sequence[Write], reads: Iterable[tuple[Place, int]]) -> Sequence[Write]:
        """Do all of the writes or none, if what was read has not moved. Raises Conflict and NotFound."""

    def add(self, table: Table, key: Key, amounts: Mapping[int, Any]) -> Row:
        """Add plain amounts to columns by their places. Raises NotFound, and ValueError out of range."""

    def find(self, table: Table, conditions: Mapping[int, Any]) -> Sequence[Row]:
        """Give the rows that have these plain values in these places. Raises TypeError without an index."""

    def next_key(self, table: Table) -> int:
        """Give an automatic key that no row has or had."""

    def preload(self, table: Table) -> int:
        """Read a whole table into the owner's memory, as far as it fits; gives the number of rows."""

    def take_turn(self, table: Table, key: Key) -> int:
        """Wait until others who update the same row are done, but never long; gives what `give_turn` wants."""

    def give_turn(self, table: Table, key: Key, turn: int) -> None:
        """Let the next one update."""
