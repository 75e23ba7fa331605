"""What was measured, as goals and reports ask for it: medians, ranges, ratios of what was measured side by side."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

import attrs

__all__ = ["Results", "Spread"]


@attrs.frozen
class Spread:
    """The median of some turns, with the lowest and the highest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Sum up values of which there is at least one."""
        return cls(median(values), min(values), max(values))


@attrs.frozen
class Results:
    """The figures of one run, or of several that were put together."""

    plain: Mapping[str, Any]
    """As it stands in the JSON file."""

    def values(self, case: str, subject: str, load: str, name: str) -> list[float]:
        """Give one value a turn; none when it was not measured."""
        found: list[float] = self.plain["cases"].get(case, {}).get(subject, {}).get(load, {}).get(name, [])
        return found

    def spread(self, case: str, subject: str, load: str, name: str) -> Spread | None:
        """Give median and range; None when it was not measured."""
        values = self.values(case, subject, load, name)
        return Spread.of(values) if values else None

    def ratio(self, case: str, subject: str, peer: str, load: str, name: str) -> Spread | None:
        """Give the ratio of two subjects' values, turn by turn, because only neighbours in time compare."""
        ours, theirs = self.values(case, subject, load, name), self.values(case, peer, load, name)
        pairs = [a / b for a, b in zip(ours, theirs, strict=False) if b]
        return Spread.of(pairs) if pairs else None

    def growth(self, case: str, subject: str, load: str, base: str, name: str) -> Spread | None:
        """Give how a subject's value under `load` stands to that under `base`."""
        high, low = self.values(case, subject, load, name), self.values(case, subject, base, name)
        pairs = [a / b for a, b in zip(high, low, strict=False) if b]
        return Spread.of(pairs) if pairs else None
