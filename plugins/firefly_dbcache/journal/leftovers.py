"""What an earlier owner left in the journal's folder: which of its files still hold something, the others removed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from firefly_dbcache.journal.checkpoint import DRAFT, Part
from firefly_dbcache.journal.disk import Disk
from firefly_dbcache.journal.replay import Replay

__all__ = ["Leftovers"]

EVIDENCE = 16 * 1024 * 1024
"""Most bytes of a torn tail that are set aside."""


class Leftovers:
    """The files of a folder as a replay has found them."""

    def __init__(self, replay: Replay, folder: Path, disk: Disk) -> None:
        self._replay = replay
        self._folder = folder
        self._disk = disk

    def settle(self) -> list[Part]:
        """Cut torn tails, remove what is void and what was never finished; gives what is left, in order."""
        for path in self._replay.void:
            self._disk.remove(path)
        left = list(self._segments())
        for draft in self._folder.glob(f"*{DRAFT}"):
            self._disk.remove(draft)
        return left

    def _segments(self) -> Iterator[Part]:
        replay = self._replay
        torn = {found.path: found.offset for found in replay.torn}
        for segment in replay.segments:
            offset = torn.get(segment.path)
            if segment.flaw is not None or replay.last <= replay.cursor:
                self._keep(segment.path, offset or 0, segment.size)
                self._disk.remove(segment.path)
                continue
            size = segment.size
            if offset is not None:
                self._keep(segment.path, offset, segment.size)
                self._cut(segment.path, offset)
                size = offset
            yield Part(segment.path, self._last_of(segment.number), size)

    def _last_of(self, number: int) -> int:
        """Give the last sequence that a segment can hold: the one before the next segment's first."""
        later = [each.first for each in self._replay.segments if each.number > number and each.flaw is None]
        return later[0] - 1 if later else self._replay.last

    def _keep(self, path: Path, offset: int, size: int) -> None:
        """Set the bytes of a torn tail aside, as evidence; the newest only."""
        if offset < size:
            with contextlib.suppress(OSError), path.open("rb") as file:
                file.seek(offset)
                (self._folder / "torn").write_bytes(file.read(EVIDENCE))

    def _cut(self, path: Path, offset: int) -> None:
        descriptor = self._disk.open(path)
        try:
            self._disk.truncate(descriptor, offset)
            self._disk.sync([descriptor])
        finally:
            self._disk.close(descriptor)
