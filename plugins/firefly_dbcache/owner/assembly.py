"""The parts of an owner put together: what each is given, and in which order they can be made."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from firefly_core.channel.clock import Clock
from firefly_dbcache.caches.second_level import SecondLevel
from firefly_dbcache.config import DbCacheConfig
from firefly_dbcache.connect import connect
from firefly_dbcache.database.ledger import Ledger
from firefly_dbcache.database.schema import Schema
from firefly_dbcache.database.storage import Storage
from firefly_dbcache.database.worker import Worker
from firefly_dbcache.journal.disk import Disk
from firefly_dbcache.journal.folder import Folder
from firefly_dbcache.journal.group_sync import GroupSync
from firefly_dbcache.journal.journal import Journal, Limits
from firefly_dbcache.owner.automatic_keys import AutomaticKeys
from firefly_dbcache.owner.dead_letters import DeadLetters
from firefly_dbcache.owner.flusher import Flusher
from firefly_dbcache.owner.graveyard import Graveyard
from firefly_dbcache.owner.key_lists import KeyLists
from firefly_dbcache.owner.memory import Memory
from firefly_dbcache.owner.reader import Reader
from firefly_dbcache.owner.unique import Unique
from firefly_dbcache.owner.upkeep import Upkeep
from firefly_dbcache.owner.writer import Writer
from firefly_dbcache.rows.overlay import Change, Overlay, Place
from firefly_dbcache.rows.table import Table

__all__ = ["Assembly"]

VALUE_LIMIT = 1_000_000
"""Bytes of a row beyond which the second level is not told of it."""


class Assembly:
    """All parts of one owner. Nothing is open and nothing runs yet."""

    def __init__(
        self,
        config: DbCacheConfig,
        tables: Sequence[Table],
        clock: Clock,
        disk: Disk,
        log: logging.Logger,
        *,
        at: Callable[[str], None],
        flushed: Callable[[Sequence[Change]], None],
        fatal: Callable[[BaseException], None],
    ) -> None:
        assert config.journal is not None
        self.config = config
        self.clock = clock
        self.log = log
        self.tables = {table.name: table for table in tables}
        self._at = at
        self._numbers = {table: number for number, table in enumerate(tables)}
        self._disk = disk
        self._worker = Worker()
        self._build_stores(tables, config.journal)
        self._build_journal(tables, fatal)
        self.letters = DeadLetters(self.folder.dead, disk, config.dead_letters, log)
        self.graveyard = self._make_graveyard()
        self.flusher = self._make_flusher(flushed, fatal)
        self.unique = Unique(self.lists, self.overlay, self.reader.keys, self._wait_flushed)
        self.writer = self._make_writer()
        self.upkeep = self._make_upkeep(fatal)

    def _build_stores(self, tables: Sequence[Table], path: Path) -> None:
        """What holds rows, from the database up to memory, and what reads them."""
        config, clock = self.config, self.clock
        self.folder = Folder(path, self._disk)
        self.database = connect(config)
        self.ledger = Ledger(self.database, "", f"{socket.gethostname()}:{path}")
        self.storage = Storage(self.database, tables, self.ledger, self._at)
        self.schema = Schema(self.database, tables)
        self.memory = Memory(tables, config.memory)
        self.keys = AutomaticKeys(self.memory)
        self.overlay = Overlay(clock.monotonic)
        self.lists = KeyLists(config.list_keys, config.max_list)
        self.second = SecondLevel([], VALUE_LIMIT)
        self.reader = Reader(self.memory, self.overlay, self.second, self.storage, self.lists)

    def _build_journal(self, tables: Sequence[Table], fatal: Callable[[BaseException], None]) -> None:
        config = self.config
        limits = Limits(config.segment, config.journal_cap, config.slack)
        shapes = [(table.name, list(table.names)) for table in tables]
        self.journal = Journal(self.folder, limits, shapes, self._disk, self.clock.time, self._at, self.log)
        self.sync = GroupSync(self.journal, self._disk, self._worker, config.sync_interval, fatal)

    def _make_graveyard(self) -> Graveyard:
        return Graveyard(
            self.letters,
            self.overlay,
            self.memory,
            self.lists,
            self.storage,
            self.folder.dead,
            self.tables,
            lambda: self.journal.last + 1,
            self.log,
        )

    def _wait_flushed(self, place: Place) -> bool:
        return self.flusher.wait_flushed(place, 5.0)

    def _make_flusher(
        self, flushed: Callable[[Sequence[Change]], None], fatal: Callable[[BaseException], None]
    ) -> Flusher:
        return Flusher(
            self.overlay,
            self.storage,
            self.letters,
            self._worker,
            interval=self.config.flush_interval,
            batch=self.config.flush_batch,
            durable=self.sync.wait_durable,
            flushed=flushed,
            fatal=fatal,
            monotonic=self.clock.monotonic,
            time=self.clock.time,
            at=self._at,
            log=self.log,
        )

    def _make_writer(self) -> Writer:
        return Writer(
            self.reader,
            self.memory,
            self.overlay,
            self.journal,
            self.sync,
            self.storage,
            self.second,
            self.unique,
            numbers=self._numbers,
            max_row=self.config.max_row,
            at=self._at,
            time=self.clock.time,
        )

    def _make_upkeep(self, fatal: Callable[[BaseException], None]) -> Upkeep:
        return Upkeep(
            self.journal,
            self.overlay,
            self.writer,
            self.ledger,
            self.graveyard,
            self._disk,
            self._worker,
            numbers=self._numbers,
            segment=self.config.segment,
            max_age=self.config.max_age,
            tombstone_age=self.config.tombstone_age,
            monotonic=self.clock.monotonic,
            time=self.clock.time,
            fatal=fatal,
            at=self._at,
            log=self.log,
        )
