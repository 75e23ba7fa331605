"""The journal: acknowledged changes on their way to the database, in segments of one folder.

1. `append` writes one record with one write(2): from here on no kill of this process can lose it.
2. A greenlet of its own (group_sync.py) brings what was written to the disk, every second or as soon as somebody waits.
3. The flusher tells how far the database has everything (`advance`): segments that lie behind are removed, once that
   cursor is on the disk.
4. `checkpoint` rewrites only what the database lacks, and makes all earlier segments void.

When the disk is full it refuses (`Overloaded`) until its slack can be reserved again; deletions may use the slack up.
After an error of write or fsync the segment is dead: nothing is acknowledged before a checkpoint stands on new files.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import secrets
from collections import deque
from collections.abc import Callable
from pathlib import Path

import attrs

from firefly_core.errors import Overloaded
from firefly_dbcache.journal.checkpoint import Checkpoint, Part
from firefly_dbcache.journal.disk import Disk
from firefly_dbcache.journal.folder import Folder
from firefly_dbcache.journal.leftovers import Leftovers
from firefly_dbcache.journal.record import encode
from firefly_dbcache.journal.replay import Replay
from firefly_dbcache.journal.segment import Shapes, encode_header, path_of
from firefly_dbcache.journal.state import State

__all__ = ["Journal", "Limits"]


@attrs.frozen
class Limits:
    """Sizes in bytes."""

    segment: int
    cap: int
    slack: int


class Journal:
    """The writing side. Open it once, after a Replay; only methods named `*_blocking` may run in another thread."""

    def __init__(
        self,
        folder: Folder,
        limits: Limits,
        shapes: Shapes,
        disk: Disk,
        now: Callable[[], float],
        at: Callable[[str], None],
        log: logging.Logger,
    ) -> None:
        self.folder = folder
        self.state = State.CLOSED
        self.last = 0
        self.flushed = 0
        self.bytes = 0
        self.dirty_folder = False
        """Whether a segment's name is not known to be on disk yet."""
        self.retired: list[int] = []
        """Descriptors of earlier segments, to be synced and closed."""
        self.inherited: list[Path] = []
        """Segments of whoever was here before, and was perhaps killed before they were on the disk."""
        self.descriptor = -1
        self.on_dead: Callable[[OSError], None] = lambda _: None
        self._limits = limits
        self._shapes = shapes
        self._disk = disk
        self._now = now
        self._at = at
        self._log = log
        self._parts: deque[Part] = deque()
        self._dead: list[int] = []
        self._current = Part(folder.path, 0, 0)
        self._number = 0
        self._salt = 0
        self._write = disk.write

    # ---------------------------------------------------------------------------------------------------- opening

    def open(self, replay: Replay) -> None:
        """Go on behind what was replayed: torn tails are cut, void segments removed, a new segment begun."""
        self.last, self.flushed = replay.last, replay.cursor
        self._number = replay.numbers
        self._parts.extend(Leftovers(replay, self.folder.path, self._disk).settle())
        self.bytes = sum(part.size for part in self._parts)
        self.state = State.OPEN
        try:
            self.settle()
            self._disk.sync_folder(self.folder.path)
            self.inherited = [part.path for part in self._parts]
            self._begin()
            self._disk.reserve(self.folder.slack, self._limits.slack)
        except OSError as error:
            self._failed(error)

    # -------------------------------------------------------------------------------------------------- appending

    def append(self, body: bytes, *, shrinks: bool = False) -> int:
        """Write one record; gives its sequence once the kernel has it. Raises Overloaded, and then nothing was written.

        `shrinks` says that the record only deletes rows: it may use the slack of a full disk.
        """
        if self.state is not State.OPEN:
            self._admit(shrinks)
        sequence = self.last + 1
        record = encode(sequence, body, self._salt)
        size = len(record)
        current = self._current
        if self.bytes + size > self._limits.cap and not shrinks:
            self.state = State.CAPPED
            raise Overloaded(State.CAPPED.value)
        if current.size + size > self._limits.segment and current.last:
            self._rotate()
            record = encode(sequence, body, self._salt)
            current = self._current
        try:
            written = self._write(self.descriptor, record)
            if written != size:
                raise OSError(errno.ENOSPC, "the disk took a part of a record")
        except OSError as error:
            self._failed(error)
            raise Overloaded(self.state.value) from error
        current.size += size
        current.last = self.last = sequence
        self.bytes += size
        return sequence

    def _admit(self, shrinks: bool) -> None:
        """Raise Overloaded unless this record may be written in the present state."""
        if self.state is State.CAPPED and (shrinks or self.bytes < self._limits.cap * 0.9):
            if not shrinks:
                self.state = State.OPEN
            return
        if self.state is State.FULL and shrinks:
            self._disk.remove(self.folder.slack)
            return
        raise Overloaded(self.state.value)

    def _begin(self) -> None:
        """Open the next segment and write its header; raises OSError, and then the present one stays."""
        path = path_of(self.folder.path, self._number + 1)
        self._disk.remove(path)
        salt = secrets.randbits(32)
        header = encode_header(self._number + 1, self.last + 1, self._now(), salt, self._shapes, checkpoint=False)
        descriptor = self._disk.create(path)
        self._at("rotation")
        try:
            if self._write(descriptor, header) != len(header):
                raise OSError(errno.ENOSPC, "the disk took a part of a segment's header")
        except OSError:
            self._disk.close(descriptor)
            self._disk.remove(path)
            raise
        if self.descriptor >= 0:
            self.retired.append(self.descriptor)
            self._parts.append(self._current)
        self.descriptor, self._salt = descriptor, salt
        self._number += 1
        self._current = Part(path, 0, len(header))
        self.bytes += len(header)
        self.dirty_folder = True

    def _rotate(self) -> None:
        try:
            self._begin()
        except OSError as error:
            self._failed(error)
            raise Overloaded(self.state.value) from error

    # ------------------------------------------------------------------------------------------------ after errors

    def _failed(self, error: OSError) -> None:
        """Leave the state that follows from an error of the disk; what was written of the record is cut off."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            try:
                if self.descriptor >= 0:
                    self._disk.truncate(self.descriptor, self._current.size)
            except OSError as second:
                error = second
            else:
                if self.state is not State.FULL:
                    self._log.error("journal_full folder=%s error=%s", self.folder.path, error.strerror)
                self.state = State.FULL
                return
        self.die(error)

    def die(self, error: OSError) -> None:
        """Take no more: what this segment holds on disk is not known. Only a checkpoint brings the journal back."""
        if self.state in (State.DEAD, State.CLOSED):
            return
        self.state = State.DEAD
        self._log.error("journal_dead folder=%s error=%s", self.folder.path, error.strerror)
        if self.descriptor >= 0:
            self._parts.append(self._current)
        self._dead += [*self.retired, self.descriptor]  # closed later: a sync may be using them in its thread
        self.retired, self.descriptor = [], -1
        self.on_dead(error)

    def reserve_blocking(self) -> None:
        """Try to get the slack of a full disk back, off the hub; raises OSError while there is no room."""
        self._disk.reserve(self.folder.slack, self._limits.slack)

    def reopen(self) -> None:
        """Take records again after a full disk; the slack was reserved."""
        if self.state is State.FULL:
            self.state = State.OPEN
            self._log.info("journal_open folder=%s", self.folder.path)

    # ---------------------------------------------------------------------------------------- what is in the database

    def advance(self, flushed: int) -> None:
        """Everything up to `flushed` is committed in the database: move the cursor."""
        if flushed <= self.flushed:
            return
        self.flushed = flushed
        try:
            self.folder.write_cursor(flushed)
        except OSError as error:  # an old cursor only makes the next replay longer
            self._log.warning("cursor_not_written folder=%s error=%s", self.folder.path, error.strerror)

    @property
    def settled(self) -> bool:
        """Whether no segment lies behind the cursor."""
        return not self._parts or self._parts[0].last > self.flushed

    def trim(self, flushed: int) -> None:
        """Remove the segments behind a cursor that is on the disk: after a power cut they would be missed otherwise."""
        while self._parts and self._parts[0].last <= flushed:
            part = self._parts.popleft()
            self.bytes -= part.size
            self._remove(part.path)

    def settle(self) -> None:
        """Bring the cursor to the disk and remove what lies behind it; blocks this thread, raises OSError."""
        if not self.settled:
            self.folder.sync_cursor()
            self.trim(self.flushed)

    def _remove(self, path: Path) -> None:
        try:
            self._disk.remove(path)
        except OSError as error:
            self._log.warning("segment_not_removed path=%s error=%s", path, error.strerror)

    # ------------------------------------------------------------------------------------------------- checkpoints

    def begin_checkpoint(self) -> Checkpoint:
        """Begin a checkpoint as of now: later records go to a segment behind it. Raises OSError."""
        before = [*self._parts, self._current] if self.descriptor >= 0 else list(self._parts)
        self._number += 1
        number = self._number
        self._begin()
        return Checkpoint(
            path_of(self.folder.path, number), number, self.last, tuple(before), self._shapes, self._now()
        )

    def end_checkpoint(self, checkpoint: Checkpoint, size: int) -> None:
        """A checkpoint stands on disk: what it made void is removed, and a dead journal takes records again."""
        void = {part.path for part in checkpoint.void}
        for part in [part for part in self._parts if part.path in void]:
            self._parts.remove(part)
            self.bytes -= part.size
        for path in void:
            self._remove(path)
        self._parts.appendleft(Part(checkpoint.path, checkpoint.last, size))
        self.bytes += size
        self._close_dead()
        if self.state is State.DEAD:
            self.state = State.OPEN
            self._log.error("journal_open folder=%s after=checkpoint", self.folder.path)

    def close(self) -> None:
        """Take nothing more and close the files; whoever wants them on disk has synced before."""
        self.state = State.CLOSED
        self._dead += [*self.retired, self.descriptor]
        self.retired, self.descriptor = [], -1
        self._close_dead()

    def _close_dead(self) -> None:
        dead, self._dead = self._dead, []
        for descriptor in dead:
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    self._disk.close(descriptor)
