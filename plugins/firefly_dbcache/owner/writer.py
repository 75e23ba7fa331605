"""Changing rows at the owner.

1. The rows are brought into memory, and commits of the same rows that are not decided yet are waited for.
2. Without waiting from here on: the versions are compared, new ones given, the journal's record written.
3. `journal` and `async` rows are applied and acknowledged at once; `fsync` rows when the record is on disk, `through`
   rows when the database has committed, `cache` rows when the cache has them. Until then readers see the earlier state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import gevent

from firefly_core.errors import Conflict, NotFound, Overloaded
from firefly_dbcache.caches.second_level import SecondLevel
from firefly_dbcache.database.storage import Storage
from firefly_dbcache.journal.group_sync import GroupSync
from firefly_dbcache.journal.journal import Journal
from firefly_dbcache.owner.memory import Memory
from firefly_dbcache.owner.reader import Cold, Reader
from firefly_dbcache.owner.unique import Unique
from firefly_dbcache.rows.commit import Commit, Write, encode, encode_rows, mode_of
from firefly_dbcache.rows.durability import Durability
from firefly_dbcache.rows.overlay import Change, Overlay, Place
from firefly_dbcache.rows.table import VERSION, Key, Row, Table

__all__ = ["Writer"]


class Writer:
    """The write path of one owner."""

    def __init__(
        self,
        reader: Reader,
        memory: Memory,
        overlay: Overlay,
        journal: Journal,
        sync: GroupSync,
        storage: Storage,
        second: SecondLevel,
        unique: Unique,
        *,
        numbers: Mapping[Table, int],
        max_row: int,
        at: Callable[[str], None],
        time: Callable[[], float],
    ) -> None:
        self.version = 0
        self.refusing: str | None = "not started"
        """Why nothing is accepted just now, or None."""
        self.conflicts = 0
        self.commits = 0
        self.undecided: deque[Commit] = deque()
        """Commits with a record, in the order of their records, whose fate the disk has not told yet."""
        self._reader = reader
        self._memory = memory
        self._overlay = overlay
        self._journal = journal
        self._sync = sync
        self._storage = storage
        self._second = second
        self._unique = unique
        self._numbers = numbers
        self._max_row = max_row
        self._at = at
        self._time = time
        self._doubt: dict[Place, Commit] = {}

    # -------------------------------------------------------------------------------------------------- one or many

    def save(self, table: Table, row: Row) -> Row:
        """Store a row whose version is the one it was read with; gives the row as stored. Raises as `commit`."""
        key = row[0]
        mode = table.durability
        if (mode is not Durability.JOURNAL and mode is not Durability.ASYNC) or table.unique or self._doubt:
            return self._row(self.commit([Write(table, key, row[VERSION], row)])[0])
        current = self._reader.peek(table, key)
        if isinstance(current, Cold):
            current = self._reader.read(table, key)
        if self.refusing is not None:
            raise Overloaded(self.refusing)
        if (0 if current is None else current[VERSION]) != row[VERSION]:
            raise self._conflict(table, key, row[VERSION], current)
        ver = self.version + 1
        row = (key, ver, *row[2:])
        if mode is Durability.JOURNAL:
            body = encode((self._numbers[table], row))
            if len(body) > self._max_row:
                raise ValueError(f"{table.name} {key!r} takes {len(body)} bytes, more than {self._max_row}")
            self._at("before_write")
            sequence = self._journal.append(body)
            self._at("after_write")
        else:
            sequence = self._journal.last + 1
        self.version = ver
        self.commits += 1
        self._overlay.put(table, key, row, ver, sequence, mode is Durability.JOURNAL)
        self._memory.put(table, key, row)
        if table.indexes:
            self._reader.lists.changed(table, key, current, row)
        return row

    @staticmethod
    def _row(write: Write) -> Row:
        assert write.row is not None
        return write.row

    def commit(self, writes: Sequence[Write], reads: Iterable[tuple[Place, int]] = ()) -> Sequence[Write]:
        """Do all of the writes, or none; `reads` are rows that must still have the version they were read with.

        Gives the writes with their new rows. Raises Conflict, NotFound (a deleted row that is not there), Overloaded,
        StorageUnavailable, and ValueError for a row that is too large; nothing was changed then.
        """
        reads = tuple(reads)
        if not writes:
            self._settle((), reads)
            return ()
        mode = mode_of(writes)
        self._settle(writes, reads)
        if self.refusing is not None:
            raise Overloaded(self.refusing)
        ver = self.version + 1
        for write in writes:
            if write.row is not None:
                write.row = (write.key, ver, *write.row[2:])
            write.ver = ver
        body = b""
        if mode.journaled:
            body = encode_rows(self._numbers, [(w.table, w.key, w.ver, w.row) for w in writes])
            self._check_size(writes, len(body))
        commit = Commit(writes, self._journal.last + 1)
        self.version = ver
        if mode.journaled:
            self._at("before_write")
            commit.sequence = self._journal.append(body, shrinks=all(write.row is None for write in writes))
            self._at("after_write")
        if mode in (Durability.JOURNAL, Durability.ASYNC):
            self._apply(commit, journaled=mode.journaled)
            return writes
        self._hold(commit, mode)
        commit.done.wait()
        if commit.error is not None:
            raise commit.error
        return writes

    def _check_size(self, writes: Sequence[Write], size: int) -> None:
        if size <= self._max_row:
            return
        if size > 16 * self._max_row:
            raise ValueError(f"a unit of {len(writes)} rows takes {size} bytes, more than {16 * self._max_row}")
        for write in writes:
            if write.row is not None and len(encode(write.row)) > self._max_row:
                raise ValueError(f"{write.table.name} {write.key!r} takes more than {self._max_row} bytes")

    # ------------------------------------------------------------------------------------------------ before the point

    def _settle(self, writes: Sequence[Write], reads: Sequence[tuple[Place, int]]) -> None:
        """Come to a point where every row is in memory and decided, and its version is the expected one.

        From here the caller must not wait before it has taken the new version. Raises Conflict and NotFound.
        """
        expected = [(write.place, write.base) for write in writes]
        expected += reads
        while True:
            doubtful = next((self._doubt[place] for place, _ in expected if place in self._doubt), None)
            if doubtful is not None:
                doubtful.done.wait()
                continue
            cold = [place for place, _ in expected if isinstance(self._reader.peek(*place), Cold)]
            if cold:
                for table, key in cold:
                    self._reader.read(table, key)
                continue
            self._compare(writes, reads)
            if self._unique.settled(writes):
                return

    def _compare(self, writes: Sequence[Write], reads: Sequence[tuple[Place, int]]) -> None:
        for write in writes:
            current = self._reader.peek(write.table, write.key)
            assert not isinstance(current, Cold)
            if (0 if current is None else current[VERSION]) != write.base:
                raise self._conflict(write.table, write.key, write.base, current)
            if current is None and write.row is None:
                raise NotFound(f"{write.table.name} {write.key!r}")
            write.old = current
        for (table, key), ver in reads:
            current = self._reader.peek(table, key)
            assert not isinstance(current, Cold)
            if (0 if current is None else current[VERSION]) != ver:
                raise self._conflict(table, key, ver, current)

    def _conflict(self, table: Table, key: Key, base: int, current: Row | None) -> Conflict:
        self.conflicts += 1
        now = "there is no such row" if current is None else f"it has version {current[VERSION]}"
        if base == 0:
            return Conflict(f"{table.name} {key!r} exists already")
        return Conflict(f"{table.name} {key!r} was read at version {base}, now {now}")

    # -------------------------------------------------------------------------------------------------- after the point

    def _apply(self, commit: Commit, *, journaled: bool) -> None:
        """Make the writes visible; never waits."""
        self.commits += 1
        for write in commit.writes:
            self._overlay.put(write.table, write.key, write.row, write.ver, commit.sequence, journaled)
            self._show(write)

    def _show(self, write: Write) -> None:
        self._memory.put(write.table, write.key, write.row)
        if write.table.indexes:
            self._unique.changed(write)
            self._reader.lists.changed(write.table, write.key, write.old, write.row)

    def _hold(self, commit: Commit, mode: Durability) -> None:
        """Keep others from these rows until the commit is decided, which happens even if its caller is killed."""
        for write in commit.writes:
            self._doubt[write.place] = commit
        if mode is Durability.FSYNC:
            self.undecided.append(commit)
            self._sync.when_durable(commit.sequence, lambda error: self._synced(commit, error))
        else:
            gevent.spawn(self._through if mode is Durability.THROUGH else self._cache, commit)

    def _decide(self, commit: Commit, error: BaseException | None) -> None:
        for write in commit.writes:
            del self._doubt[write.place]
        commit.error = error
        commit.done.set()

    def _synced(self, commit: Commit, error: OSError | None) -> None:
        self.undecided.remove(commit)
        if error is None:
            self._apply(commit, journaled=True)
            self._decide(commit, None)
        else:
            self._decide(commit, Overloaded(f"the journal's disk has failed: {error.strerror}"))

    def _through(self, commit: Commit) -> None:
        changes = [Change(write.table, write.key, write.row, write.ver) for write in commit.writes]
        try:
            self._storage.flush(changes, self._time())
        except BaseException as error:
            for write in commit.writes:  # it may have been committed all the same: only the database knows
                self._memory.forget(write.table, write.key)
                self._reader.lists.forget(write.table)
                self._second.put(write.table, write.key, None)
            self._decide(commit, error)
            return
        self.commits += 1
        for write in commit.writes:
            self._overlay.discard(write.place)
            self._second.put(write.table, write.key, write.row)
            self._show(write)
        self._decide(commit, None)

    def _cache(self, commit: Commit) -> None:
        try:
            for write in commit.writes:
                self._second.store(write.table, write.key, write.row)
        except BaseException as error:
            for write in commit.writes:
                self._memory.forget(write.table, write.key)
            self._decide(commit, error)
            return
        self.commits += 1
        for write in commit.writes:
            self._show(write)
        self._decide(commit, None)

    # ------------------------------------------------------------------------------------------------------- adding

    def add(self, table: Table, key: Key, amounts: Mapping[int, Any]) -> Row:
        """Add to numbers of a row; gives the row as stored. Raises NotFound, ValueError (range), and as `commit`."""
        while True:
            row = self._reader.read(table, key)
            if row is None:
                raise NotFound(f"{table.name} {key!r}")
            try:
                return self.save(table, table.added(row, amounts))
            except Conflict:  # somebody was faster while this one waited
                self.conflicts -= 1
