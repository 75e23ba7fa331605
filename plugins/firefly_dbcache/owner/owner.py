"""The owner: the one process that a database's rows live in. It stands alone, without a server around it.

Start: 1. the folder's lock  2. the tables are compared with the models  3. the ledger: the fencing epoch  4. dead
letters and the journal are read into the overlay  5. a new segment  6. only now anything is served.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence

from firefly_core.channel.clock import Clock, SystemClock
from firefly_core.errors import StorageUnavailable
from firefly_dbcache.cache import Cache
from firefly_dbcache.caches.second_level import Shard
from firefly_dbcache.config import DbCacheConfig
from firefly_dbcache.connect import open_caches
from firefly_dbcache.journal.disk import Disk
from firefly_dbcache.owner.assembly import Assembly
from firefly_dbcache.owner.startup import Startup
from firefly_dbcache.rows.overlay import Change
from firefly_dbcache.rows.table import Table

__all__ = ["Owner"]

JUMP = 2**26
"""Versions left out at a start, so that one which an unclean stop lost is never given to another state of its row."""


def nowhere(point: str) -> None:
    """Pass a named point of the path; the tests of crashes hand in another function."""


def fresh_generation() -> str:
    """Give a generation of the cache that was never used before."""
    return secrets.token_hex(6)


class Owner(Assembly):
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
        self.fatal: BaseException | None = None
        self.recovered = 0
        """Records that the last start read from the journal."""
        self.recovery_time = 0.0
        self.torn = 0
        self._fatal = fatal
        self._caches = caches
        self._running = False
        super().__init__(
            config,
            tables,
            clock if clock is not None else SystemClock(),
            disk if disk is not None else Disk(),
            log if log is not None else logging.getLogger("firefly.db-cache"),
            at=at,
            flushed=self._flushed,
            fatal=self._give_up,
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
        with contextlib.suppress(OSError):  # the next start removes what is left
            self.journal.settle()
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
