"""Unique columns: two rows must not get the same value, and must not have it in the database at the same time either.

A change is acknowledged long before the database sees it, so the owner itself must refuse one that is taken. A value
that a dirty row has given up is still there in the database: whoever wants it waits until that is flushed, so that no
order of writes can make the database refuse an acknowledged change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from firefly_core.errors import Conflict, Overloaded
from firefly_dbcache.owner.key_lists import KeyLists
from firefly_dbcache.rows.commit import Write
from firefly_dbcache.rows.durability import Durability
from firefly_dbcache.rows.overlay import Change, Overlay, Place
from firefly_dbcache.rows.table import Index, Key, Table

__all__ = ["Unique"]

Name = tuple[Table, Index, tuple[Any, ...]]


class Unique:
    """The unique values of one owner's rows."""

    def __init__(
        self,
        lists: KeyLists,
        overlay: Overlay,
        keys: Callable[[Table, Index, tuple[Any, ...]], set[Key]],
        wait_flushed: Callable[[Place], bool],
    ) -> None:
        self._lists = lists
        self._overlay = overlay
        self._keys = keys
        self._wait_flushed = wait_flushed
        self._held: dict[Name, tuple[Key, int]] = {}
        """Values that a dirty row gave up: the row, and the version that gave it up."""

    def settled(self, writes: Sequence[Write]) -> bool:
        """Whether every value these writes take is free; False: this greenlet had to wait, so look at all again.

        Raises Conflict when another row has it, Overloaded when its former row cannot be flushed in time.
        """
        taken: set[Name] = set()
        for write in writes:
            for index in write.table.unique if write.row is not None else ():
                values = index.values(write.row)  # type: ignore[arg-type]
                if None in values or (write.old is not None and index.values(write.old) == values):
                    continue
                name = (write.table, index, values)
                if name in taken:
                    raise self._conflict(write, index)
                taken.add(name)
                if not self._free(write, index, name):
                    return False
        return True

    def _free(self, write: Write, index: Index, name: Name) -> bool:
        if write.table.durability is Durability.CACHE:
            return True
        keys = self._lists.get(*name)
        if keys is None:
            self._keys(*name)
            return False
        if keys - {write.key}:
            raise self._conflict(write, index)
        held = self._held.get(name)
        if held is None or held[0] == write.key:
            return True
        if not self._wait_flushed((write.table, held[0])):
            raise Overloaded("a unique value cannot change hands before its former row is in the database")
        if self._held.get(name) == held:
            del self._held[name]
        return False

    @staticmethod
    def _conflict(write: Write, index: Index) -> Conflict:
        names = ", ".join(write.table.names[place] for place in index.places)
        return Conflict(f"{write.table.name} {write.key!r}: another row has the same {names}")

    def changed(self, write: Write) -> None:
        """Note what a write that was applied has given up."""
        for index in write.table.unique:
            before = None if write.old is None else index.values(write.old)
            after = None if write.row is None else index.values(write.row)
            if before is not None and before != after and None not in before and self._dirty(write):
                self._held[write.table, index, before] = (write.key, write.ver)

    def _dirty(self, write: Write) -> bool:
        return self._overlay.find(write.table, write.key) is not None

    def flushed(self, changes: Sequence[Change]) -> None:
        """The database has these: what they had given up is free."""
        if not self._held:
            return
        done = {change.place: change.ver for change in changes}
        for name, (key, ver) in list(self._held.items()):
            if done.get((name[0], key), -1) >= ver:
                del self._held[name]
