"""The changes that the database does not have yet, the newest of each row, in the order in which rows became dirty."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator

from firefly_dbcache.rows.table import Key, Row, Table

__all__ = ["Change", "Overlay", "Place"]

Place = tuple[Table, Key]


class Change:
    """The newest state of a dirty row. `row` is None when it was deleted."""

    __slots__ = ("first", "journaled", "key", "pending", "row", "since", "table", "ver", "weight")

    def __init__(self, table: Table, key: Key, row: Row | None, ver: int) -> None:
        self.table = table
        self.key = key
        self.row = row
        self.ver = ver
        self.first = 0
        """The journal's sequence of the earliest record that the database lacks; a lower bound where it has none."""
        self.since = 0.0
        """When the row became dirty, on the monotonic clock."""
        self.journaled = False
        self.pending = True
        self.weight = 100 if row is None else table.weight(row)

    @property
    def place(self) -> Place:
        """Whose state this is."""
        return self.table, self.key


class Overlay:
    """Dirty rows, in three states: waiting, being flushed, and buried (the database refused them for good).

    A row may be waiting anew while its earlier state is being flushed. What is buried still answers reads.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.waiting: dict[Place, Change] = {}
        self.flushing: dict[Place, Change] = {}
        self.buried: dict[Place, Change] = {}
        self.weight = 0
        self._monotonic = monotonic
        self._began = monotonic()
        self._firsts: list[tuple[int, int, Change]] = []
        self._count = itertools.count()

    def put(self, table: Table, key: Key, row: Row | None, ver: int, sequence: int, journaled: bool) -> None:
        """Note a change: `sequence` is its record's, or the next one's where it has none."""
        place = (table, key)
        change = self.waiting.get(place)
        if change is None:
            change = self.waiting[place] = Change(table, key, row, ver)
            change.first, change.journaled, change.since = sequence, journaled, self._monotonic()
            self.weight += change.weight
            heapq.heappush(self._firsts, (sequence, next(self._count), change))
            return
        change.journaled = change.journaled or journaled
        self._renew(change, row, ver)

    def restore(self, table: Table, key: Key, row: Row | None, ver: int, sequence: int) -> None:
        """Note a journaled change that a replay found; an older state than the one that waits is left out."""
        place = (table, key)
        change = self.waiting.get(place)
        if change is None:
            change = self.waiting[place] = Change(table, key, row, ver)
            change.first, change.journaled, change.since = sequence, True, self._began
            self.weight += change.weight
            heapq.heappush(self._firsts, (sequence, next(self._count), change))
        elif change.ver < ver:
            self._renew(change, row, ver)

    def _renew(self, change: Change, row: Row | None, ver: int) -> None:
        change.row, change.ver = row, ver
        weight = 100 if row is None else change.table.weight(row)
        self.weight += weight - change.weight
        change.weight = weight

    def find(self, table: Table, key: Key) -> Change | None:
        """Give the newest state of a row, if it is not in the database."""
        place = (table, key)
        return self.waiting.get(place) or self.flushing.get(place) or self.buried.get(place)

    def take(self, count: int, weight: int) -> list[Change]:
        """Begin to flush the oldest changes, `count` or so much `weight`; those of one record stay together."""
        batch: list[Change] = []
        taken = 0
        for change in self.waiting.values():
            if change.place in self.flushing:  # its earlier state is suspect: one state of a row at a time
                continue
            if (len(batch) >= count or taken >= weight) and change.first != batch[-1].first:
                break
            batch.append(change)
            taken += change.weight
        for change in batch:
            del self.waiting[change.place]
            self.flushing[change.place] = change
        return batch

    def done(self, changes: Iterable[Change]) -> None:
        """These are in the database, or no longer needed there."""
        for change in changes:
            if self.flushing.pop(change.place, None) is not None:
                self.weight -= change.weight
                change.pending = False

    def superseded(self, change: Change) -> bool:
        """Forget a change that is being flushed if a newer state of its row waits; says whether it did."""
        if change.place not in self.waiting:
            return False
        self.done([change])
        return True

    def bury(self, change: Change) -> None:
        """The database refuses this one, and its letter is written."""
        if self.flushing.pop(change.place, None) is not None:
            self.buried[change.place] = change
            change.pending = False

    def exhume(self, place: Place) -> Change | None:
        """Take a buried change out: it was superseded, retried or dropped."""
        change = self.buried.pop(place, None)
        if change is not None:
            self.weight -= change.weight
        return change

    def discard(self, place: Place) -> None:
        """Forget what waits of a row, because the database got a newer state directly."""
        change = self.waiting.pop(place, None)
        if change is not None:
            self.weight -= change.weight
            change.pending = False

    def lowest(self, otherwise: int) -> int:
        """Give the lowest sequence that a change still needs in the journal; `otherwise` when there is none."""
        firsts = self._firsts
        while firsts and not firsts[0][2].pending:
            heapq.heappop(firsts)
        return firsts[0][0] if firsts else otherwise

    def oldest(self) -> float | None:
        """Give when the longest waiting change was made."""
        ends = itertools.chain(self.flushing.values(), itertools.islice(self.waiting.values(), 1))
        return min((change.since for change in ends), default=None)

    def changes(self) -> Iterator[Change]:
        """Give every change that is on its way to the database, older states of a row before newer ones."""
        yield from self.flushing.values()
        yield from self.waiting.values()

    def __len__(self) -> int:
        return len(self.waiting) + len(self.flushing)
