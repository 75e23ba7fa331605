"""The steps of an owner's start that may refuse it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import gevent

from firefly_core.errors import ConfigurationError, StorageUnavailable
from firefly_dbcache.journal.replay import CorruptJournal, Replay
from firefly_dbcache.owner.recovery import Recovery, UnknownShape

if TYPE_CHECKING:
    from firefly_dbcache.owner.owner import Owner

__all__ = ["Startup"]

T = TypeVar("T")


class Startup:
    """One start of one owner. Methods raise ConfigurationError with what keeps it from starting."""

    def __init__(self, owner: Owner, at: Callable[[str], None]) -> None:
        self._owner = owner
        self._at = at

    def patiently(self, work: Callable[[], T]) -> T:
        """Do some work with the database, again and again while it is away."""
        end = self._owner.clock.monotonic() + self._owner.config.start_timeout
        while True:
            try:
                return work()
            except StorageUnavailable as error:
                if self._owner.clock.monotonic() >= end:
                    raise
                self._owner.log.warning("waiting_for_database error=%s", error)
                gevent.sleep(0.2)

    def check_schema(self) -> bool:
        """Compare tables and models; gives whether to serve reads only."""
        missing = self._owner.schema.missing()
        problems = self._owner.schema.differences()
        if not self._owner.config.create_tables:
            problems += [f"{name}: the table is missing; run `firefly-run db migrate`" for name in missing]
        if problems and self._owner.config.schema == "strict":
            raise ConfigurationError([f"the database differs from the models: {problem}" for problem in problems])
        self._owner.schema.create_ledger()
        if not problems:
            for name in self._owner.schema.create_missing():
                self._owner.log.info("table_created name=%s", name)
        return bool(problems)

    def recover(self, salvage: bool) -> Recovery:
        recovery = Recovery(self._owner.tables, self._owner.overlay, self._at)
        replay = Replay(self._owner.folder.path, self._owner.folder.read_cursor(), salvage=salvage)
        try:
            recovery.run(replay)
        except CorruptJournal as error:
            raise ConfigurationError([f"{error}. `firefly-run db repair` goes on without what is lost"]) from error
        except UnknownShape as error:
            raise ConfigurationError([str(error)]) from error
        recovery.verify(self._owner.storage)
        self._owner.recovered = recovery.records
        self._owner.torn = len(replay.torn)
        for tail in replay.torn:
            self._owner.log.error(
                "journal_torn path=%s offset=%d bytes=%d reason=%s", tail.path, tail.offset, tail.size, tail.reason
            )
        for lost in replay.lost:
            self._owner.log.error("journal_salvaged lost=%s", lost)
        self._owner.journal.open(replay)
        return recovery
