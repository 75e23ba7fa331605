"""The journal's record: a header with a checksum of its own, then the body with another.

    header   u32 length of the body | u64 sequence | u32 CRC of the body | u32 CRC of these 16 bytes
    body     msgpack: [shape, row, shape, row, ...]

The CRCs begin with the segment's salt, so that bytes which a player stored in a row are never taken for a record. All
numbers are little endian. A change of several rows is one record: after a crash all of it is there, or nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

import attrs

__all__ = ["HEADER", "MAX_BODY", "RUN", "Damage", "Record", "Run", "encode", "find_valid", "scan"]

FRONT = struct.Struct("<IQI")
CHECK = struct.Struct("<I")
WHOLE = struct.Struct("<IQII")
HEADER = FRONT.size + CHECK.size
MAX_BODY = 64 * 1024 * 1024
RUN = 1000

_front = FRONT.pack
_check = CHECK.pack


class Run(NamedTuple):
    """The bodies of whole records one after the other, at most `RUN`; `first` is the sequence of the first."""

    first: int
    bodies: list[memoryview]


class Record(NamedTuple):
    """One whole record; `end` is the offset behind it."""

    sequence: int
    body: memoryview
    offset: int
    end: int


@attrs.frozen
class Damage:
    """Where the bytes stop being records, and why; `sequence` is the one that was due there."""

    offset: int
    reason: str
    sequence: int


def encode(sequence: int, body: bytes, salt: int) -> bytes:
    """Give the bytes of a record."""
    front = _front(len(body), sequence, crc32(body, salt))
    return front + _check(crc32(front, salt)) + body


def _read(data: memoryview, offset: int, salt: int) -> Record | str:
    """Give the record at `offset`, or what is wrong with it."""
    if offset + HEADER > len(data):
        return "short header"
    length, sequence, check, whole = WHOLE.unpack_from(data, offset)
    start = offset + HEADER
    if whole != crc32(data[offset : start - CHECK.size], salt):
        return "bad header"
    end = start + length
    if end > len(data):
        return "short body"
    body = data[start:end]
    if crc32(body, salt) != check:
        return "bad body"
    return Record(sequence, body, offset, end)


def scan(data: memoryview, offset: int, salt: int, sequence: int) -> Iterator[Run | Damage]:
    """Give the records from `offset` on, the first with `sequence`; where they stop before the end, last a Damage.

    One loop, and no object or call for a record of its own: those would be most of the work.
    """
    size = len(data)
    unpack, check_of, header, front = WHOLE.unpack_from, crc32, HEADER, FRONT.size
    while offset < size:
        bodies: list[memoryview] = []
        while len(bodies) < RUN and offset + header <= size:
            length, found, check, whole = unpack(data, offset)
            start = offset + header
            body = data[start : start + length]
            if found != sequence or whole != check_of(data[offset : offset + front], salt):
                break
            if len(body) != length or check != check_of(body, salt):
                break
            bodies.append(body)
            offset = start + length
            sequence += 1
        if bodies:
            yield Run(sequence - len(bodies), bodies)
        if len(bodies) < RUN and offset < size:
            yield Damage(offset, _reason(data, offset, salt, sequence), sequence)
            return


def _reason(data: memoryview, offset: int, salt: int, sequence: int) -> str:
    found = _read(data, offset, salt)
    return found if isinstance(found, str) else f"sequence {found.sequence} instead of {sequence}"


def find_valid(data: memoryview, offset: int, salt: int, sequence: int) -> Record | None:
    """Give the first valid record behind `offset` whose sequence is higher than `sequence`, at whatever offset."""
    for start in range(offset, len(data) - HEADER + 1):
        check = CHECK.unpack_from(data, start + FRONT.size)[0]
        if check == crc32(data[start : start + FRONT.size], salt):
            found = _read(data, start, salt)
            if isinstance(found, Record) and found.sequence > sequence:
                return found
    return None
