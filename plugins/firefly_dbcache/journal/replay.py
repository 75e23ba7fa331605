"""Reading the journal back: every record since the cursor, or a loud refusal.

Three things end a segment's records early, and they are told apart by what stands behind:
- a *torn tail*: bytes that are no record, with nothing valid behind: the last write of a killed process. Tolerated.
- *corruption*: a valid record of a higher sequence behind it, in this segment or a later one. Refused.
- a *gap*: a segment is missing. Refused.
Only `salvage=True`, which `firefly-run db repair` asks for, goes on behind corruption, and lists what is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

from firefly_core.errors import StorageError
from firefly_dbcache.journal.record import Damage, Run
from firefly_dbcache.journal.segment import Flaw, Segment, list_segments

__all__ = ["CorruptJournal", "Replay", "Torn"]


class CorruptJournal(StorageError):
    """The journal has lost something that may have been acknowledged."""

    def __init__(self, path: Path, offset: int, reason: str) -> None:
        super().__init__(f"{path} is damaged at offset {offset}: {reason}")
        self.path = path
        self.offset = offset


@attrs.frozen
class Torn:
    """A tail without a valid record behind it."""

    path: Path
    offset: int
    size: int
    reason: str


class Replay:
    """One reading of a journal's folder, from its last checkpoint on. Nothing in the folder is changed.

    When `records` has ended, `last` is the last sequence and `torn` tells the tails; raises CorruptJournal and OSError.
    """

    def __init__(self, folder: Path, cursor: int, *, salvage: bool = False) -> None:
        self.cursor = cursor
        self.last = cursor
        self.torn: list[Torn] = []
        self.lost: list[str] = []
        self.void: list[Path] = []
        """Segments that the last checkpoint made void."""
        self.segments: list[Segment] = []
        self._salvage = salvage
        for number, path in reversed(list_segments(folder)):
            if self.segments and self.segments[0].checkpoint:
                self.void.append(path)
            else:
                self.segments.insert(0, Segment.read(number, path))
        self.numbers = max((segment.number for segment in self.segments), default=0)

    def records(self) -> Iterator[tuple[Segment, int, memoryview]]:
        """Give segment, sequence and body of each record that the cursor has not passed, in order."""
        for segment, run in self.runs():
            for place, body in enumerate(run.bodies):
                yield segment, segment.first - 1 if segment.checkpoint else run.first + place, body

    def runs(self) -> Iterator[tuple[Segment, Run]]:
        """Give the same in runs; a checkpoint's records are all as of the sequence before it, whatever a run says."""
        expected: int | None = None
        for place, segment in enumerate(self.segments):
            if segment.flaw is Flaw.BROKEN:
                self._damaged(segment, 0, "its header is not what was written")
                continue
            if segment.flaw is Flaw.TORN:
                self._check_torn(place, Damage(0, "short segment header", 0 if expected is None else expected))
                continue
            if segment.checkpoint:
                yield from self._checkpoint(segment)
                expected = segment.first
                continue
            if expected is None or expected <= segment.first <= self.cursor + 1:
                expected = min(segment.first, self.cursor + 1)  # what lies before the cursor may have been removed
            if segment.first != expected:
                self._damaged(segment, 0, f"records {expected} to {segment.first - 1} are missing")
            expected = segment.first
            for run in self._segment(place, segment):
                passed = self.cursor + 1 - run.first
                expected = run.first + len(run.bodies)
                if passed < len(run.bodies):
                    yield segment, Run(run.first + passed, run.bodies[passed:]) if passed > 0 else run
            self.last = max(self.last, expected - 1)

    def _checkpoint(self, segment: Segment) -> Iterator[tuple[Segment, Run]]:
        """Give a checkpoint's rows as of the sequence before it; it was renamed when whole, so it has no torn tail."""
        self.last = max(self.last, segment.first - 1)
        if self.cursor >= self.last:  # the database took all of it while it was written, and newer states since
            return
        data = segment.load()
        for found in segment.runs(data):
            if isinstance(found, Damage):
                self._damaged(segment, found.offset, f"{found.reason} in a checkpoint")
            else:
                yield segment, found

    def _segment(self, place: int, segment: Segment) -> Iterator[Run]:
        data = segment.load()
        walk = segment.runs(data)
        while True:
            for found in walk:
                if isinstance(found, Damage):
                    break
                yield found
            else:
                return
            resumed = segment.behind(data, found)
            if resumed is None:
                self._check_torn(place, found)
                return
            self._damaged(segment, found.offset, f"{found.reason}, with record {resumed.sequence} behind it")
            walk = segment.resume(data, resumed)

    def _check_torn(self, place: int, damage: Damage) -> None:
        """Accept a tail with nothing valid behind it; a later segment says whether a record once stood there."""
        segment = self.segments[place]
        for later in self.segments[place + 1 :]:
            if later.flaw is None and later.first > damage.sequence:
                reason = f"{damage.reason}, and segment {later.number} goes on with record {later.first}"
                self._damaged(segment, damage.offset, reason)
                return
        if segment.size == damage.offset:  # a file that was just made, and nothing in it yet
            return
        self.torn.append(Torn(segment.path, damage.offset, segment.size - damage.offset, damage.reason))

    def _damaged(self, segment: Segment, offset: int, reason: str) -> None:
        error = CorruptJournal(segment.path, offset, reason)
        if not self._salvage:
            raise error
        self.lost.append(str(error))
