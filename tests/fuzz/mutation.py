"""Random changes of known inputs: what drives the targets where atheris is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

MAGIC = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xdd",
    b"\xdf",
    b"[",
    b"{",
]
LONGEST = 20_000


def mutations(seeds: list[bytes], random: Random) -> Iterator[bytes]:
    """Give the seeds, then without end changed ones."""
    yield from seeds
    while True:
        data = bytearray(random.choice(seeds))
        for _ in range(random.choice((1, 1, 1, 2, 4, 8))):
            _change(data, seeds, random)
        yield bytes(data[:LONGEST])


def _change(data: bytearray, seeds: list[bytes], random: Random) -> None:
    at = random.randrange(len(data) + 1)
    end = min(len(data), at + random.choice((1, 2, 4, 16, 64)))
    match random.randrange(8):
        case 0 if at < len(data):
            data[at] ^= 1 << random.randrange(8)
        case 1 if at < len(data):
            data[at] = random.randrange(256)
        case 2:
            del data[at:end]
        case 3:
            data[at:at] = data[at:end] * random.choice((1, 2, 40))
        case 4:
            data[at:end] = random.choice(MAGIC)
        case 5:
            data[at:at] = random.choice(MAGIC) * random.choice((1, 1, 40))
        case 6:
            other = random.choice(seeds)
            data[at:] = other[random.randrange(len(other) + 1) :]
        case _:
            data[at:at] = random.randbytes(random.choice((1, 2, 8)))
