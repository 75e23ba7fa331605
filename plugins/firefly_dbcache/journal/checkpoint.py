"""A checkpoint: a segment with everything that the database lacks, which makes all earlier segments void."""

from __future__ import annotations

import contextlib
import errno
import itertools
import secrets
from collections.abc import Iterable
from pathlib import Path

import attrs

from firefly_dbcache.journal.disk import Disk
from firefly_dbcache.journal.record import encode
from firefly_dbcache.journal.segment import Shapes, encode_header

__all__ = ["DRAFT", "Checkpoint", "Part"]

DRAFT = ".draft"


@attrs.define(eq=False)
class Part:
    """One file of the journal that still holds something: its last sequence, its size in bytes."""

    path: Path
    last: int
    size: int


@attrs.frozen
class Checkpoint:
    """A checkpoint that was begun as of the sequence `last`; `void` are the files that it will replace."""

    path: Path
    number: int
    last: int
    void: tuple[Part, ...]
    shapes: Shapes
    time: float

    def write_blocking(self, disk: Disk, bodies: Iterable[bytes]) -> int:
        """Write it to the disk, and only then under its name; gives its size. Belongs off the hub; raises OSError."""
        draft = self.path.with_suffix(DRAFT)
        salt = secrets.randbits(32)
        header = encode_header(self.number, self.last + 1, self.time, salt, self.shapes, checkpoint=True)
        disk.remove(draft)
        descriptor = disk.create(draft)
        size = 0
        try:
            for data in itertools.chain([header], (encode(n, body, salt) for n, body in enumerate(bodies, 1))):
                if disk.write(descriptor, data) != len(data):
                    raise OSError(errno.ENOSPC, "the disk took a part of a checkpoint")
                size += len(data)
            disk.sync([descriptor])
        except OSError:
            with contextlib.suppress(OSError):
                disk.remove(draft)
            raise
        finally:
            disk.close(descriptor)
        disk.rename(draft, self.path)
        disk.sync_folder(self.path.parent)
        return size
