"""Writing behind: what the journal has goes to the database in batches, until the database has it.

- A batch waits until its records are on the disk of the journal: a power cut must not leave the database ahead of it.
- Transient errors (the database is away, full, locked) are tried again for ever, 0.1 s to 5 s apart.
- In a batch that the database refuses the refused rows are found, in one transaction; the others go on. A row that was
  refused three times goes to the dead letters.
- After each commit the journal's cursor moves, and the segments behind it are removed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs
import gevent
from gevent.event import Event

from firefly_core.errors import StorageUnavailable
from firefly_dbcache.database.database import Refused
from firefly_dbcache.database.storage import Storage
from firefly_dbcache.database.worker import Worker
from firefly_dbcache.owner.dead_letters import DeadLetters
from firefly_dbcache.rows.overlay import Change, Overlay, Place

__all__ = ["Flusher"]

T = TypeVar("T")

TRIES = 3
FIRST_DELAY = 0.1
LAST_DELAY = 5.0
SUSPECT_DELAY = 0.2
BATCH_WEIGHT = 8 * 1024 * 1024
"""Bytes of rows, estimated, after which a batch is large enough, however few they are."""


@attrs.define(eq=False)
class _Suspect:
    change: Change
    error: str
    tries: int
    due: float


class _Stopped(Exception):
    pass


class Flusher:
    """Writes one overlay.

    `durable` waits for the journal's disk; `flushed` is called after every commit with its changes, `fatal` with what
    ends the owner.
    """

    def __init__(
        self,
        overlay: Overlay,
        storage: Storage,
        letters: DeadLetters,
        worker: Worker,
        *,
        interval: float,
        batch: int,
        durable: Callable[[], None],
        flushed: Callable[[Sequence[Change]], None],
        fatal: Callable[[BaseException], None],
        monotonic: Callable[[], float],
        time: Callable[[], float],
        at: Callable[[str], None],
        log: logging.Logger,
    ) -> None:
        self.rows = 0
        self.batches = 0
        self.failures = 0
        self.latency = 0.0
        """How long the last batch took, in seconds."""
        self.failing: str | None = None
        """Why the database does not take changes just now, or None."""
        self._overlay = overlay
        self._storage = storage
        self._letters = letters
        self._worker = worker
        self._interval = interval
        self._batch = batch
        self._durable = durable
        self._flushed = flushed
        self._fatal = fatal
        self._monotonic = monotonic
        self._time = time
        self._at = at
        self._log = log
        self._suspects: list[_Suspect] = []
        self._wake = Event()
        self._round_done = Event()
        self._stopping = False
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Begin to flush."""
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        try:
            while not self._stopping:
                began = self._monotonic()
                self._round()
                self._round_done.set()
                self._round_done.clear()
                if not self._stopping:
                    self._wake.wait(max(self._interval - (self._monotonic() - began), 0.001))
                    self._wake.clear()
        except _Stopped:
            pass
        except gevent.GreenletExit:
            raise
        except BaseException as error:
            self._fatal(error)

    def _round(self) -> None:
        """Flush what is dirty now; what becomes dirty meanwhile belongs to the next round, so that it can coalesce."""
        self._retry_suspects()
        left = len(self._overlay.waiting)
        while left > 0:
            batch = self._overlay.take(self._batch, BATCH_WEIGHT)
            if not batch:
                return
            left -= len(batch)
            self._durable()
            self._at("before_flush")
            self._attempt(batch)

    # ---------------------------------------------------------------------------------------------------- one batch

    def _attempt(self, batch: list[Change]) -> None:
        """Flush changes, however long the database is away; those it refuses become suspects."""
        if self._flush(batch) is None:
            return
        try:
            refused = self._patiently(lambda: self._storage.sift(batch, self._time()))
        except Refused as error:  # not by a statement but by the COMMIT, so nothing tells which row it is
            if len(batch) == 1:
                self._suspect(batch[0], str(error))
                return
            middle = len(batch) // 2
            self._attempt(batch[:middle])
            self._attempt(batch[middle:])
            return
        self._taken([change for change in batch if change not in refused])
        for change, reason in refused.items():
            self._suspect(change, reason)

    def _flush(self, batch: list[Change]) -> str | None:
        """Commit a batch; gives None, or why the database refuses it."""
        try:
            self._patiently(lambda: self._storage.flush(batch, self._time()))
        except Refused as error:
            return str(error)
        self._taken(batch)
        return None

    def _taken(self, batch: list[Change]) -> None:
        """The database has committed these."""
        self._at("after_commit")
        self.batches += 1
        self.rows += len(batch)
        self._overlay.done(batch)
        self._flushed(batch)

    def _patiently(self, work: Callable[[], T]) -> T:
        """Do some work with the database, again and again while it is away. Raises Refused."""
        delay = FIRST_DELAY
        while True:
            began = self._monotonic()
            try:
                done = work()
            except StorageUnavailable as error:
                self._wait_out(str(error), delay)
                delay = min(delay * 2, LAST_DELAY)
                continue
            self.failing = None
            self.latency = self._monotonic() - began
            return done

    def _wait_out(self, error: str, delay: float) -> None:
        if self.failing is None:
            self._log.warning("database_unavailable error=%s", error)
        self.failing = error
        self.failures += 1
        if self._stopping:
            raise _Stopped
        gevent.sleep(delay)

    # ----------------------------------------------------------------------------------------------------- suspects

    def _suspect(self, change: Change, error: str) -> None:
        self._suspects.append(_Suspect(change, error, 1, self._monotonic() + SUSPECT_DELAY))

    def _retry_suspects(self) -> None:
        now = self._monotonic()
        for suspect in [suspect for suspect in self._suspects if suspect.due <= now or self._stopping]:
            if self._overlay.superseded(suspect.change):
                self._suspects.remove(suspect)
                continue
            error = self._flush([suspect.change])
            if error is None:
                self._suspects.remove(suspect)
                continue
            suspect.tries += 1
            suspect.error = error
            suspect.due = self._monotonic() + SUSPECT_DELAY * suspect.tries
            if suspect.tries >= TRIES:
                self._bury(suspect)

    def _bury(self, suspect: _Suspect) -> None:
        if self._letters.full:  # it stays a suspect: the journal keeps it, and its cap is the limit
            self.failing = "there are too many dead letters"
            return
        try:
            letter = self._worker.do(self._letters.write_blocking, suspect.change, suspect.error, self._time())
        except OSError as error:
            self._log.error("dead_letter_not_written error=%s", error)
            return
        self._letters.add(letter)
        self._suspects.remove(suspect)
        self._overlay.bury(suspect.change)
        self._flushed(())

    # ---------------------------------------------------------------------------------------------- from the outside

    def flush(self, timeout: float) -> bool:
        """Flush all that is dirty now, without waiting for the interval; says whether it is done in time."""
        with gevent.Timeout(timeout, False):  # type: ignore[arg-type]  # the stubs do not know of False
            goal = {change.place: change.ver for change in self._overlay.changes()}
            while any(self._behind(place, ver) for place, ver in goal.items()):
                self._wake.set()
                self._round_done.wait(0.05)
            return True
        return False

    def wait_flushed(self, place: Place, timeout: float) -> bool:
        """Flush the present state of one row; says whether it is done in time."""
        change = self._overlay.waiting.get(place) or self._overlay.flushing.get(place)
        if change is None:
            return place not in self._overlay.buried
        ver = change.ver
        with gevent.Timeout(timeout, False):  # type: ignore[arg-type]  # the stubs do not know of False
            while self._behind(place, ver):
                self._wake.set()
                self._round_done.wait(0.05)
            return place not in self._overlay.buried
        return False

    def _behind(self, place: Place, ver: int) -> bool:
        flushing = self._overlay.flushing.get(place)
        if flushing is not None and flushing.ver <= ver:
            return True
        waiting = self._overlay.waiting.get(place)
        return waiting is not None and waiting.ver <= ver

    def stop(self, timeout: float) -> bool:
        """Flush everything and end; False: the database did not take all in time, the rest stays in the journal."""
        if self._greenlet is None:
            return True
        done = self.flush(timeout)
        self._stopping = True
        self._wake.set()
        self._greenlet.join(timeout=LAST_DELAY + timeout if timeout else 0.1)
        self._greenlet.kill()
        self._greenlet = None
        return done and not len(self._overlay)

    @property
    def suspects(self) -> int:
        """How many rows the database has refused and may take yet."""
        return len(self._suspects)
