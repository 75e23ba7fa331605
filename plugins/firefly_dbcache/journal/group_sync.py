"""Bringing the journal to the disk: one fdatasync for everybody who waits, and one a second for the rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import gevent
from gevent.event import Event

from firefly_dbcache.database.worker import Worker
from firefly_dbcache.journal.disk import Disk
from firefly_dbcache.journal.journal import Journal
from firefly_dbcache.journal.state import State

__all__ = ["GroupSync"]

Waiter = Callable[[OSError | None], None]


class GroupSync:
    """Syncs one journal off the hub. Only one sync runs at a time; those who come meanwhile share the next."""

    def __init__(
        self, journal: Journal, disk: Disk, worker: Worker, interval: float, fatal: Callable[[BaseException], None]
    ) -> None:
        self.durable = 0
        self.total = 0
        self._journal = journal
        self._disk = disk
        self._worker = worker
        self._interval = interval
        self._fatal = fatal
        self._waiters: deque[tuple[int, Waiter]] = deque()
        self._wanted = Event()
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._stopping = False
        journal.on_dead = self.fail

    def start(self) -> None:
        """Begin to sync."""
        self.durable = 0 if self._journal.inherited else self._journal.last
        self._greenlet = gevent.spawn(self._run)

    def when_durable(self, sequence: int, waiter: Waiter) -> None:
        """Call `waiter` once the record is on disk, with None, or with the error after which it may never be."""
        self._waiters.append((sequence, waiter))
        self._wanted.set()

    def wait_durable(self) -> None:
        """Wait until everything that was written so far is on disk, or the disk has failed."""
        target = self._journal.last
        if target <= self.durable or self._journal.state is State.DEAD:
            return
        done = Event()
        self.when_durable(target, lambda _: done.set())
        done.wait()

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._wanted.wait(self._interval)
                self._wanted.clear()
                if self._journal.state is not State.DEAD:
                    self.sync()
        except gevent.GreenletExit:
            raise
        except BaseException as error:
            self._fatal(error)

    def sync(self) -> None:
        """Bring everything that was written so far to the disk, and tell those who wait for it."""
        journal = self._journal
        target = journal.last
        cursor = None if journal.settled else journal.flushed
        if target <= self.durable and not journal.retired and not self._waiters and cursor is None:
            return
        retired, journal.retired = journal.retired, []
        folder = journal.folder.path if journal.dirty_folder else None
        journal.dirty_folder = False
        current = journal.descriptor
        try:
            self._worker.do(self._sync_blocking, [*retired, current], folder, cursor is not None)
            journal.inherited.clear()
        except OSError as error:
            journal.retired += retired
            journal.die(error)
            return
        for descriptor in retired:
            self._disk.close(descriptor)
        self.total += 1
        if journal.state is State.DEAD:
            return
        if cursor is not None:
            journal.trim(cursor)
        self.durable = max(self.durable, target)
        while self._waiters and self._waiters[0][0] <= target:
            self._waiters.popleft()[1](None)

    def _sync_blocking(self, descriptors: list[int], folder: object, cursor: bool) -> None:
        for path in self._journal.inherited:
            self._disk.sync_file(path)
        self._disk.sync(descriptors)
        if folder is not None:
            self._disk.sync_folder(self._journal.folder.path)
        if cursor:
            self._journal.folder.sync_cursor()

    def fail(self, error: OSError) -> None:
        """Tell everybody who waits that the segment is dead."""
        waiters, self._waiters = self._waiters, deque()
        for _, waiter in waiters:
            waiter(error)

    def stop(self) -> None:
        """Sync a last time and end."""
        if self._greenlet is not None:
            self._stopping = True
            self._wanted.set()
            self._greenlet.join()
            self._greenlet = None
            if self._journal.state not in (State.DEAD, State.CLOSED):
                self.sync()
