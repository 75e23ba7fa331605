"""The owner: the one process that a database's rows live in. It stands alone, without a server around it.

Start: 1. the folder's lock  2. the tables are compared with the models  3. the ledger: the fencing epoch  4. dead
letters and the journal are read into the overlay  5. a new segment  6. only now anything is served.
"""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from firefly_core.channel.clock import Clock, SystemClock
from firefly_core.errors import StorageUnavailable
from firefly_dbcache.cache import Cache
from firefly_dbcache.caches.second_level import SecondLevel, Shard
from firefly_dbcache.config import DbCacheConfig
from firefly_dbcache.connect import connect, open_caches
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
from firefly_dbcache.owner.startup import Startup
from firefly_dbcache.owner.unique import Unique
from firefly_dbcache.owner.upkeep import Upkeep
from firefly_dbcache.owner.writer import Writer
from firefly_dbcache.rows.overlay import Change, Overlay, Place
from firefly_dbcache.rows.table import Table

__all__ = ["Owner"]

JUMP = 2**26
"""Versions left out at a start, so that one which an unclean stop lost is never given to another state of its row."""
VALUE_LIMIT = 1_000_000


def nowhere(point: str) -> None:
    """Pass a named point of the path; the tests of crashes hand in another function."""


def fresh_generation() -> str:
    """Give a generation of the cache that was never used before."""
    return secrets.token_hex(6)


class Owner:
    """The engine. `start`, then use it from any greenlet, then `stop`; it cannot be started twice.

    `config.journal` must be set. `fatal` is called once when it cannot go on (another owner took over, a bug): it
    refuses every change by then, and the process should end. `at` is called with the name of each point where a crash
    matters.
    """

    def __init__(
        self,
        config: DbCacheConfig,
        tables: Sequence[Table],
        *,
        clock: Clock | None = None,
        disk: Disk | None = None,
        caches: Mapping[str, Callable[..., Cache]] | None = None,
        at: Callable[[str], None] = nowhere,
        fatal: Callable[[BaseException], None] | None = None,
        log: logging.Logger | None = None,
    ) -> None:
        assert config.journal is not None
        self.config = config
        self.tables = {table.name: table for table in tables}
        self.clock = clock if clock is not None else SystemClock()
        self.log = log if log is not None else logging.getLogger("firefly.db-cache")
        self.fatal: BaseException | None = None
        self.recovered = 0
        """Records that the last start read from the journal."""
        self.recovery_time = 0.0
        self.torn = 0
        self._fatal = fatal
        self._at = at
        self._numbers = {table: number for number, table in enumerate(tables)}
        self._disk = disk if disk is not None else Disk()
        self._caches = caches
        self._running = False
        self._build(list(tables), config.journal)

    # ------------------------------------------------------------------------------------------------- putting together

    def _build(self, tables: list[Table], path: Path) -> None:
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
        self._worker = Worker()
        limits = Limits(config.segment, config.journal_cap, config.slack)
        shapes = [(table.name, list(table.names)) for table in tables]
        self.journal = Journal(self.folder, limits, shapes, self._disk, clock.time, self._at, self.log)
        self.sync = GroupSync(self.journal, self._disk, self._worker, config.sync_interval, self.log)
        self.letters = DeadLetters(self.folder.dead, self._disk, config.dead_letters, self.log)
        self.graveyard = Graveyard(
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
        self.flusher = self._make_flusher()
        self.unique = Unique(self.lists, self.overlay, self.reader.keys, self._wait_flushed)
        self.writer = self._make_writer()
        self.upkeep = self._make_upkeep()

    def _make_flusher(self) -> Flusher:
        return Flusher(
            self.overlay,
            self.storage,
            self.letters,
            self._worker,
            interval=self.config.flush_interval,
            batch=self.config.flush_batch,
            flushed=self._flushed,
            fatal=self._give_up,
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

    def _make_upkeep(self) -> Upkeep:
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
            fatal=self._give_up,
            at=self._at,
            log=self.log,
        )

    # ------------------------------------------------------------------------------------------------------- the life

    def start(self, *, salvage: bool = False, by_force: bool = False) -> None:
        """Take the database, bring back what the journal holds, and begin to serve.

        Raises ConfigurationError when something is not as it must be, and StorageUnavailable when the database does not
        come up in time. `salvage` goes on behind damage in the journal, `by_force` takes another journal's database.
        """
        self.folder.acquire()
        try:
            self._start(salvage, by_force)
        except BaseException:
            self._release()
            raise

    def _start(self, salvage: bool, by_force: bool) -> None:
        began = self.clock.monotonic()
        startup = Startup(self, self._at)
        read_only = startup.patiently(startup.check_schema)
        self.ledger.journal = self.folder.identity(secrets.token_hex(16))
        ownership = startup.patiently(lambda: self.ledger.take(by_force=by_force))
        note = self.folder.take_note()
        self.graveyard.load()
        recovery = startup.recover(salvage)
        highest = self.storage.highest([table for table in self.tables.values() if table.stored])
        versions = [recovery.version, ownership.version, *(change.ver for change in self.overlay.buried.values())]
        if ownership.fresh:
            versions += [version for _, version in highest.values()]
        self.writer.version = max(versions) + JUMP
        self.ledger.note_version(self.writer.version)
        for table, (key, _) in highest.items():
            self.keys.begin(table, max(key, recovery.highest.get(table, 0)))
        self._open_second_level(note)
        self.recovery_time = self.clock.monotonic() - began
        self.sync.start()
        self.flusher.start()
        self.upkeep.start()
        self._running = True
        self.writer.refusing = "the tables differ from the models" if read_only else None
        if self.recovered:
            self.log.info("journal_replayed records=%d seconds=%.3f", self.recovered, self.recovery_time)

    def _open_second_level(self, note: Mapping[str, str]) -> None:
        config = self.config
        caches = open_caches(config.cache, self._caches, config.cache_timeout)
        trusted = note.get("servers") == ",".join(caches)
        for name, cache in caches.items():
            generation = note.get(name) if trusted else None
            shard = Shard(
                name, cache, generation or fresh_generation(), fresh_generation, self.clock.monotonic, 10_000, self.log
            )
            self.second.shards.append(shard)

    def stop(self, timeout: float = 15.0) -> bool:
        """Flush everything and release the database; False: some changes are left in the journal for the next start."""
        if not self._running:
            self._release()
            return True
        self._running = False
        self.writer.refusing = "stopping"
        end = self.clock.monotonic() + timeout
        while self.writer.undecided and self.clock.monotonic() < end:
            self.writer.undecided[0].done.wait(0.1)
        done = self.flusher.stop(0.0 if self.fatal is not None else timeout)
        self.upkeep.stop()
        self.sync.stop()
        self.journal.advance(self._flushed_up_to())
        generations = self.second.stop(self.config.cache_timeout * 4)
        generations["servers"] = ",".join(shard.name for shard in self.second.shards)
        if done and self.fatal is None:
            try:
                self.ledger.release()
                self.folder.leave_note(generations)
            except (StorageUnavailable, OSError) as error:
                self.log.warning("not_released error=%s", error)
                done = False
        if not done:
            self.log.error("changes_left_in_journal rows=%d", len(self.overlay))
        self._release()
        return done

    def _release(self) -> None:
        self.journal.close()
        self.database.close()
        self.folder.release()
        self._worker.stop()

    def _give_up(self, error: BaseException) -> None:
        if self.fatal is None:
            self.fatal = error
            self.writer.refusing = f"the db-cache has failed: {error}"
            self.log.critical("db_cache_failed error=%r", error)
            if self._fatal is not None:
                self._fatal(error)

    # --------------------------------------------------------------------------------------------------- its own hooks

    def _flushed(self, changes: Iterable[Change]) -> None:
        """The database has committed these: the second level may have them, the journal need not."""
        changes = list(changes)
        for change in changes:
            self.second.put(change.table, change.key, change.row)
        self.unique.flushed(changes)
        for place in self.letters.flushed(changes):
            self.overlay.exhume(place)
        self.journal.advance(self._flushed_up_to())

    def _flushed_up_to(self) -> int:
        lowest = self.overlay.lowest(self.journal.last + 1)
        if self.writer.undecided:
            lowest = min(lowest, self.writer.undecided[0].sequence)
        return lowest - 1

    def _wait_flushed(self, place: Place) -> bool:
        return self.flusher.wait_flushed(place, 5.0)
