"""Histogram: how long things took, in buckets each twice as wide as the one before; counting is one addition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["BUCKETS", "Histogram", "bound", "difference", "merged", "quantile"]

BUCKETS = 64
"""More than any duration needs, so that counting never has to look whether there is room."""
UNIT = 1024e-9
"""Seconds: what is shorter falls into bucket 0."""


def bound(index: int) -> float:
    """Give the seconds that everything in a bucket, and in those before it, took less than."""
    return float(1 << index) * UNIT


def quantile(buckets: Sequence[int], share: float) -> float:
    """Give the seconds within which `share` (0.99) of what was counted was done; 0.0 where nothing was.

    Exact to the bucket, and within it as if its durations were spread evenly.
    """
    wanted = share * sum(buckets)
    before = 0
    for index, count in enumerate(buckets):
        if count and before + count >= wanted:
            low = bound(index - 1) if index else 0.0
            return low + (bound(index) - low) * (wanted - before) / count
        before += count
    return 0.0


def difference(newer: Sequence[int], older: Sequence[int]) -> list[int]:
    """Give what was counted between two looks; where the newer one counts less, it has begun anew."""
    padded = [*older, *(0 for _ in range(len(newer) - len(older)))]
    counts = [new - old for new, old in zip(newer, padded, strict=False)]
    return list(newer) if min(counts, default=0) < 0 or len(older) > len(newer) else counts


def merged(several: Iterable[Sequence[int]]) -> list[int]:
    """Give the buckets of several histograms together."""
    total: list[int] = []
    for buckets in several:
        total.extend(0 for _ in range(len(buckets) - len(total)))
        for index, count in enumerate(buckets):
            total[index] += count
    return total


class Histogram:
    """Durations of one thing. Where every nanosecond counts, its list is counted in directly, as `add` does."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets = [0] * BUCKETS
        self.total = 0
        """Nanoseconds of all together."""

    def add(self, nanoseconds: int) -> None:
        """Count one duration, of 0 or more nanoseconds."""
        self.buckets[(nanoseconds >> 10).bit_length()] += 1
        self.total += nanoseconds

    @property
    def count(self) -> int:
        """How many were counted."""
        return sum(self.buckets)

    def plain(self) -> list[int]:
        """Give the buckets up to the last one that holds anything."""
        last = max((index for index, count in enumerate(self.buckets) if count), default=-1)
        return self.buckets[: last + 1]
