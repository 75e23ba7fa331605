"""Who has ever walked the meadow, and what he has caught: the part of the game that outlives a visit."""

from __future__ import annotations

import heapq
import unicodedata

import attrs

__all__ = ["MAX_HEROES", "NAME_LENGTH", "Hero", "Heroes", "Poor", "clean", "key_of"]

NAME_LENGTH = 16
MAX_HEROES = 10_000


@attrs.define
class Hero:
    """A player's lasting self. `key` is the name as it is compared ("Ann" and "ANN" are one hero) and the uid."""

    key: str
    name: str
    score: int = 0
    gold: int = 0


class Poor(Exception):
    """He has not so much gold."""


def clean(text: str) -> str:
    """Give `text` as people would read it: one form of each letter, no control characters, single blanks."""
    plain = unicodedata.normalize("NFKC", text)
    return " ".join("".join(letter if letter.isprintable() else " " for letter in plain).split())


def key_of(name: str) -> tuple[str, str] | None:
    """Give key and clean form of a name, or None if nothing of it is readable."""
    name = clean(name)[:NAME_LENGTH].strip()
    key = name.casefold()
    return (key, name) if key else None


class Heroes:
    """All heroes, by key, in memory. Above `limit` of them the weakest one is forgotten for each that is new."""

    def __init__(self, limit: int = MAX_HEROES) -> None:
        self.limit = limit
        self._by_key: dict[str, Hero] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def named(self, name: str) -> Hero | None:
        """Give the hero of that name, a new one if nobody bears it yet, or None if nothing of the name is readable."""
        found = key_of(name)
        if found is None:
            return None
        key, name = found
        hero = self._by_key.get(key)
        if hero is None:
            if len(self._by_key) >= self.limit:
                weakest = min(self._by_key.values(), key=lambda other: other.score)
                del self._by_key[weakest.key]
            hero = self._by_key[key] = Hero(key, name)
        return hero

    def award(self, hero: Hero, points: int) -> None:
        """Give a hero points, and as much gold."""
        hero.score += points
        hero.gold += points

    def give(self, giver: Hero, taker: Hero, gold: int) -> None:
        """Let gold change hands. Raises Poor."""
        if giver.gold < gold:
            raise Poor
        giver.gold -= gold
        taker.gold += gold

    def top(self, count: int) -> list[Hero]:
        """Give the `count` best heroes that have caught something, best first, equals by name."""
        scored = (hero for hero in self._by_key.values() if hero.score > 0)
        return heapq.nsmallest(count, scored, key=lambda hero: (-hero.score, hero.key))
