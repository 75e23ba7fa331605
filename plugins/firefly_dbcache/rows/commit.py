"""A set of changes to rows that is acknowledged as a whole, and its form as a journal record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from gevent.event import Event

from firefly_dbcache.rows.durability import Durability
from firefly_dbcache.rows.overlay import Place
from firefly_dbcache.rows.table import Key, Row, Table

__all__ = ["Commit", "Write", "encode_rows", "mode_of"]

encode = msgspec.msgpack.Encoder().encode


class Write:
    """One row's change: from version `base` (0: there is no row) to `row` (None: deleted)."""

    __slots__ = ("base", "key", "old", "row", "table", "ver")

    def __init__(self, table: Table, key: Key, base: int, row: Row | None) -> None:
        self.table = table
        self.key = key
        self.base = base
        self.row = row
        self.ver = 0
        """The version it gets; set when it is decided."""
        self.old: Row | None = None
        """The row that it replaces; set when it is decided."""

    @property
    def place(self) -> Place:
        """Whose change this is."""
        return self.table, self.key


class Commit:
    """Writes that were decided and are not acknowledged yet: their rows must not be written by others meanwhile."""

    __slots__ = ("done", "error", "sequence", "writes")

    def __init__(self, writes: Sequence[Write], sequence: int) -> None:
        self.writes = writes
        self.sequence = sequence
        self.done = Event()
        self.error: BaseException | None = None


def encode_rows(numbers: Mapping[Table, int], rows: Sequence[tuple[Table, Key, int, Row | None]]) -> bytes:
    """Give the body of a record: shape and row by turns; a deleted row is [key, version] under the complement (~)."""
    parts: list[int | Row] = []
    for table, key, ver, row in rows:
        number = numbers[table]
        if row is None:
            parts += (~number, (key, ver))
        else:
            parts += (number, row)
    return encode(parts)


def mode_of(writes: Sequence[Write]) -> Durability:
    """Give how a commit is acknowledged: as the strongest of its tables asks.

    Raises TypeError for a mix that cannot be all or nothing: rows that live in the cache only, or that go to the
    database directly, together with others.
    """
    modes = {write.table.durability for write in writes}
    mode = max(modes)
    if len(modes) > 1 and (Durability.CACHE in modes or Durability.THROUGH in modes):
        names = ", ".join(f"{write.table.name} ({write.table.durability.name.lower()})" for write in writes)
        raise TypeError(f"these cannot change together: {names}; give their models one durability")
    return mode
