"""What an owner looks after twice a second: a journal that failed or grows, changes that wait long, old tombstones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping

import gevent
from gevent.event import Event

from firefly_core.errors import StorageError
from firefly_dbcache.database.ledger import Ledger
from firefly_dbcache.database.worker import Worker
from firefly_dbcache.journal.disk import Disk
from firefly_dbcache.journal.journal import Journal
from firefly_dbcache.journal.state import State
from firefly_dbcache.owner.graveyard import Graveyard
from firefly_dbcache.owner.writer import Writer
from firefly_dbcache.rows.commit import encode_rows
from firefly_dbcache.rows.overlay import Overlay
from firefly_dbcache.rows.table import Key, Row, Table

__all__ = ["Upkeep"]

INTERVAL = 0.5
PURGE_INTERVAL = 3600.0
ROWS = 200
"""Rows in one record of a checkpoint."""
Stored = tuple[Table, Key, int, Row | None]
TOO_OLD = "the database has not taken changes for too long"


class Upkeep:
    """The greenlet that keeps one owner healthy."""

    def __init__(
        self,
        journal: Journal,
        overlay: Overlay,
        writer: Writer,
        ledger: Ledger,
        graveyard: Graveyard,
        disk: Disk,
        worker: Worker,
        *,
        numbers: Mapping[Table, int],
        segment: int,
        max_age: float,
        tombstone_age: float,
        monotonic: Callable[[], float],
        time: Callable[[], float],
        fatal: Callable[[BaseException], None],
        at: Callable[[str], None],
        log: logging.Logger,
    ) -> None:
        self.checkpoints = 0
        self._journal = journal
        self._overlay = overlay
        self._writer = writer
        self._ledger = ledger
        self._graveyard = graveyard
        self._disk = disk
        self._worker = worker
        self._numbers = numbers
        self._segment = segment
        self._max_age = max_age
        self._tombstone_age = tombstone_age
        self._monotonic = monotonic
        self._time = time
        self._fatal = fatal
        self._at = at
        self._log = log
        self._wake = Event()
        self._stopping = False
        self._purged = 0.0
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._purged = self._monotonic() - PURGE_INTERVAL + 5.0
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """End; what is being done is finished first."""
        if self._greenlet is not None:
            self._stopping = True
            self._wake.set()
            self._greenlet.join()
            self._greenlet = None

    def hurry(self) -> None:
        """Look now."""
        self._wake.set()

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._look()
                self._wake.wait(INTERVAL)
                self._wake.clear()
        except gevent.GreenletExit:
            raise
        except BaseException as error:
            self._fatal(error)

    def _look(self) -> None:
        journal = self._journal
        if journal.state is State.FULL:
            self._reopen()
        elif journal.state is State.DEAD or self._worth_a_checkpoint():
            self.checkpoint()
        self._check_age()
        self._graveyard.obey()
        if self._monotonic() - self._purged > PURGE_INTERVAL:
            self._purge()

    # ---------------------------------------------------------------------------------------------------- the journal

    def _reopen(self) -> None:
        try:
            self._worker.do(self._journal.reserve_blocking)
        except OSError:
            return
        self._journal.reopen()

    def _worth_a_checkpoint(self) -> bool:
        """Whether most of the journal is states of rows that were overwritten since."""
        return self._journal.bytes > 2 * self._segment and self._journal.bytes > 4 * self._overlay.weight

    def checkpoint(self) -> bool:
        """Rewrite what the database lacks; says whether it stands. A dead journal takes records again afterwards."""
        try:
            checkpoint = self._journal.begin_checkpoint()
            rows = self._rows()
            self._at("checkpoint_begun")
            size = self._worker.do(checkpoint.write_blocking, self._disk, self._bodies(rows))
        except OSError as error:
            self._log.error("checkpoint_failed folder=%s error=%s", self._journal.folder.path, error.strerror)
            return False
        self._at("checkpoint_written")
        self._journal.end_checkpoint(checkpoint, size)
        self.checkpoints += 1
        return True

    def _rows(self) -> list[Stored]:
        """Give every journaled change, and those whose fate the disk has yet to tell, as they are now."""
        rows: list[Stored] = [
            (change.table, change.key, change.ver, change.row) for change in self._overlay.changes() if change.journaled
        ]
        for commit in self._writer.undecided:
            rows += [(write.table, write.key, write.ver, write.row) for write in commit.writes]
        return rows

    def _bodies(self, rows: list[Stored]) -> Iterator[bytes]:
        """Give the bodies of a checkpoint's records."""
        for start in range(0, len(rows), ROWS):
            yield encode_rows(self._numbers, rows[start : start + ROWS])

    # -------------------------------------------------------------------------------------------------- the database

    def _check_age(self) -> None:
        oldest = self._overlay.oldest()
        late = oldest is not None and self._monotonic() - oldest > self._max_age
        if late and self._writer.refusing is None:
            self._writer.refusing = TOO_OLD
            self._log.error("changes_refused reason=%s", TOO_OLD)
        elif not late and self._writer.refusing == TOO_OLD:
            self._writer.refusing = None
            self._log.info("changes_accepted")

    def _purge(self) -> None:
        self._purged = self._monotonic()
        try:
            self._ledger.purge(int(self._time() - self._tombstone_age))
        except StorageError as error:
            self._log.warning("tombstones_not_purged error=%s", error)
