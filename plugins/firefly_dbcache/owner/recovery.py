"""Bringing the acknowledged changes back after an unclean stop: the journal's records become the overlay again."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from firefly_core.errors import StorageError
from firefly_dbcache.database.storage import Storage
from firefly_dbcache.journal.replay import Replay
from firefly_dbcache.journal.segment import Segment
from firefly_dbcache.rows.overlay import Overlay
from firefly_dbcache.rows.table import VERSION, Key, Row, Table

__all__ = ["Recovery", "UnknownShape"]

decode = msgspec.msgpack.Decoder(list).decode


class UnknownShape(StorageError):
    """The journal holds rows that the present models cannot take."""


class _Mapper:
    """How rows of one recorded shape become rows of a table."""

    __slots__ = ("automatic", "default", "places", "table")

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        unknown = [name for name in columns if name not in table.places]
        missing = [column for column in table.columns if column.name not in columns]
        lacking = [column.name for column in missing if column.field.default is None and not column.null]
        if unknown or lacking:
            told = [f"it has {name}, the model has not" for name in unknown]
            told += [f"the model has {name} without a default, it has not" for name in lacking]
            raise UnknownShape(
                f"the journal holds unflushed rows of {table.name} in another shape: {'; '.join(told)}. "
                f"Run `firefly-run db flush` with the former models first"
            )
        self.table = table
        self.automatic = table.automatic
        self.places: list[int | None] | None = None
        self.default: Row = ()
        if list(columns) != list(table.names):
            self.places = [columns.index(name) if name in columns else None for name in table.names]
            defaults: Mapping[str, Any] = table.model._meta.get_default_dict()  # type: ignore[no-untyped-call]
            self.default = tuple(
                None if name in columns else table.columns[place].check(table.name, defaults.get(name))
                for place, name in enumerate(table.names)
            )

    def row(self, values: list[Any]) -> Row:
        assert self.places is not None
        return tuple(
            default if place is None else values[place]
            for place, default in zip(self.places, self.default, strict=True)
        )


class Recovery:
    """One replay into an overlay."""

    def __init__(self, tables: Mapping[str, Table], overlay: Overlay, at: Callable[[str], None]) -> None:
        self.records = 0
        self.version = 0
        """The highest version that was seen."""
        self.highest: dict[Table, int] = {}
        """The highest automatic key of each table that was seen."""
        self._tables = tables
        self._overlay = overlay
        self._restore = overlay.restore
        self._at = at

    def run(self, replay: Replay) -> None:
        """Read every record into the overlay, the highest version of each row. Raises CorruptJournal, UnknownShape."""
        collecting = gc.isenabled()
        gc.disable()  # a million new rows and no garbage among them: looking for some would take most of the time
        try:
            self._run(replay)
        finally:
            if collecting:
                gc.enable()

    def _run(self, replay: Replay) -> None:
        shapes: dict[int, list[_Mapper]] = {}
        for segment, run in replay.runs():
            self._at("replay")
            mappers = shapes.setdefault(segment.number, [])
            sequence, step = (segment.first - 1, 0) if segment.checkpoint else (run.first, 1)
            for parts in map(decode, run.bodies):
                self._record(segment, mappers, sequence, parts)
                sequence += step
            self.records += len(run.bodies)

    def _mapper(self, segment: Segment, mappers: list[_Mapper], number: int) -> _Mapper:
        if number < len(mappers):
            return mappers[number]
        while len(mappers) <= number:
            name, columns = segment.shapes[len(mappers)]
            table = self._tables.get(name)
            if table is None:
                raise UnknownShape(f"the journal holds unflushed rows of {name}, which no model has")
            mappers.append(_Mapper(table, columns))
        return mappers[number]

    def _record(self, segment: Segment, mappers: list[_Mapper], sequence: int, parts: list[Any]) -> None:
        for place in range(0, len(parts), 2):
            number, values = parts[place], parts[place + 1]
            mapper = self._mapper(segment, mappers, number if number >= 0 else ~number)
            if number >= 0:
                row: Row | None = tuple(values) if mapper.places is None else mapper.row(values)
                key, ver = row[0], row[VERSION]  # type: ignore[index]
            else:
                row = None
                key, ver = values
            if ver > self.version:
                self.version = ver
            table = mapper.table
            if mapper.automatic and key > self.highest.get(table, 0):
                self.highest[table] = key
            self._restore(table, key, row, ver, sequence)

    def verify(self, storage: Storage) -> None:
        """Drop rows of which the database has a newer state, of tables whose changes do not all go to the journal."""
        doubtful: dict[Table, list[Key]] = {}
        if all(table.durability.journaled for table in self._tables.values()):
            return
        for table, key in self._overlay.waiting:
            if not table.durability.journaled:
                doubtful.setdefault(table, []).append(key)
        for table, keys in doubtful.items():
            for key, row in storage.read(table, keys).items():
                if row[VERSION] >= self._overlay.waiting[table, key].ver:
                    self._overlay.discard((table, key))
