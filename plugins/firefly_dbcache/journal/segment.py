"""A segment: one file of the journal, and how its bytes are read back.

    header   b"FIREFLYJ" | u16 format | u16 flags | u64 number | u64 first sequence | f64 time | u32 salt | u32 length
             of the shapes | u32 CRC of the shapes | u32 CRC of all before
    shapes   msgpack: [[table, [columns]], ...]; a row's shape is its place in this list
    records  as record.py has them

A *checkpoint* segment holds every row that was not in the database when it was begun, so that all earlier segments are
void; its own records are counted from 1, and its first sequence is that of the record which follows it.
"""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import attrs
import msgspec

from firefly_dbcache.journal.record import Damage, Record, Run, find_valid, scan

__all__ = ["Flaw", "Segment", "Shapes", "encode_header", "list_segments", "path_of"]

FIXED = struct.Struct("<8sHHQQdIIII")
MAGIC = b"FIREFLYJ"
FORMAT = 1
CHECKPOINT = 1
NAME = re.compile(r"([0-9]{10})\.segment")

Shapes = list[tuple[str, list[str]]]


class Flaw(enum.Enum):
    """What a segment's header may lack."""

    TORN = "torn"
    """It was being written when the process or the power ended: there can be no record behind it."""
    BROKEN = "broken"
    """It was written and is no more what was written."""


def path_of(folder: Path, number: int) -> Path:
    """Give the name of a segment's file."""
    return folder / f"{number:010}.segment"


def list_segments(folder: Path) -> list[tuple[int, Path]]:
    """Give the numbers and files of a folder's segments, in order."""
    found = ((NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


def encode_header(number: int, first: int, time: float, salt: int, shapes: Shapes, checkpoint: bool) -> bytes:
    """Give the bytes that a segment's file begins with."""
    tail = msgspec.msgpack.encode(shapes)
    flags = CHECKPOINT if checkpoint else 0
    front = FIXED.pack(MAGIC, FORMAT, flags, number, first, time, salt, len(tail), crc32(tail), 0)[:-4]
    return front + struct.pack("<I", crc32(front)) + tail


@attrs.define
class Segment:
    """A segment's header, and its records when asked for."""

    number: int
    path: Path
    size: int
    flaw: Flaw | None = None
    checkpoint: bool = False
    first: int = 0
    time: float = 0.0
    salt: int = 0
    shapes: Shapes = attrs.field(factory=list)
    start: int = 0
    """The offset of the first record."""

    @classmethod
    def read(cls, number: int, path: Path) -> Segment:
        """Read a segment's header. A bad one is told by `flaw`; raises OSError."""
        with path.open("rb") as file:
            segment = cls(number, path, path.stat().st_size)
            front = file.read(FIXED.size)
            segment.flaw = segment._read_front(front) or segment._read_shapes(
                file.read(segment.start - FIXED.size), front
            )
        return segment

    def _read_front(self, front: bytes) -> Flaw | None:
        if len(front) < FIXED.size or not any(front):
            return Flaw.TORN
        magic, form, flags, number, first, time, salt, length, _, whole = FIXED.unpack(front)
        if magic != MAGIC or whole != crc32(front[:-4]) or form != FORMAT or number != self.number:
            return Flaw.BROKEN
        self.start = FIXED.size + length
        self.first, self.time, self.salt, self.checkpoint = first, time, salt, bool(flags & CHECKPOINT)
        return None

    def _read_shapes(self, tail: bytes, front: bytes) -> Flaw | None:
        if self.size < self.start:
            return Flaw.TORN
        if crc32(tail) != FIXED.unpack(front)[-2]:
            return Flaw.BROKEN if self.size > self.start else Flaw.TORN
        self.shapes = msgspec.msgpack.decode(tail, type=Shapes)
        return None

    def load(self) -> memoryview:
        """Read the whole file; raises OSError."""
        return memoryview(self.path.read_bytes())

    def runs(self, data: memoryview) -> Iterator[Run | Damage]:
        """Give its records in order; where they stop before the end of the file, last a Damage."""
        return scan(data, self.start, self.salt, 1 if self.checkpoint else self.first)

    def behind(self, data: memoryview, damage: Damage) -> Record | None:
        """Give the next valid record behind a damage, or None."""
        return find_valid(data, damage.offset + 1, self.salt, damage.sequence - 1)

    def resume(self, data: memoryview, record: Record) -> Iterator[Run | Damage]:
        """Give the records from `record` on."""
        return scan(data, record.offset, self.salt, record.sequence)
