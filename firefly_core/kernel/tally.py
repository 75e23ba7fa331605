"""Tally: a count a word, of words that others choose and that could therefore be any number."""

from __future__ import annotations

from collections.abc import ItemsView

__all__ = ["Tally"]

OTHERS = "others"


class Tally:
    """Counts words. Beyond `most` different ones a further one counts as `others`."""

    __slots__ = ("_counts", "_most")

    def __init__(self, most: int = 64) -> None:
        self._counts: dict[str, int] = {}
        self._most = most

    def add(self, word: str) -> None:
        """Count a word once more."""
        counts = self._counts
        if word not in counts and len(counts) >= self._most:
            word = OTHERS
        counts[word] = counts.get(word, 0) + 1

    def __getitem__(self, word: str) -> int:
        return self._counts.get(word, 0)

    def items(self) -> ItemsView[str, int]:
        """Give the words with their counts."""
        return self._counts.items()

    def total(self) -> int:
        """Give the sum of all counts."""
        return sum(self._counts.values())
