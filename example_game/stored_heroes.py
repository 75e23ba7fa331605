"""The heroes in the db-cache: the same questions as `Heroes` answers from memory, and nothing is lost by a crash."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from example_game.heroes import Hero, Poor, key_of
from example_game.models import HeroRow, RankingRow
from firefly_core.errors import Conflict, NotFound

__all__ = ["StoredHeroes"]

RANKING = "all time"
PLACES = 50


class StoredHeroes:
    """Heroes by `ctx.db`. Each method has returned only when what it changed is safe."""

    def __init__(self, db: Any) -> None:
        self._db = db

    def named(self, name: str) -> Hero | None:
        """Give the hero of that name, a new one if nobody bears it yet, or None if nothing of the name is readable."""
        found = key_of(name)
        if found is None:
            return None
        key, name = found
        try:
            row = self._db.get(HeroRow, key)
        except NotFound:
            try:
                row = self._db.create(HeroRow, key=key, name=name)
            except Conflict:  # somebody else came in under the same name at the same moment
                row = self._db.get(HeroRow, key)
        return Hero(row.key, row.name, row.score, row.gold)

    def award(self, hero: Hero, points: int) -> None:
        """Give a hero points, and as much gold, and his place in the ranking."""
        row = self._db.add(HeroRow, hero.key, score=points, gold=points)
        hero.score, hero.gold = row.score, row.gold
        self._db.update(RankingRow, self._ranking(), lambda ranking: _rank(ranking, row))

    def give(self, giver: Hero, taker: Hero, gold: int) -> None:
        """Let gold change hands: both rows change together or not at all. Raises Poor."""

        def hand_over(unit: Any) -> tuple[int, int]:
            from_row, to_row = unit.get(HeroRow, giver.key), unit.get(HeroRow, taker.key)
            if from_row.gold < gold:
                raise Poor
            from_row.gold -= gold
            to_row.gold += gold
            unit.save(from_row)
            unit.save(to_row)
            return from_row.gold, to_row.gold

        giver.gold, taker.gold = self._db.transact(hand_over)

    def top(self, count: int) -> list[Hero]:
        """Give the `count` best heroes that have caught something, best first."""
        best = json.loads(self._db.get(RankingRow, self._ranking()).best)
        return [Hero(key, name, score) for key, name, score in best[:count]]

    def _ranking(self) -> str:
        try:
            self._db.get(RankingRow, RANKING)
        except NotFound:
            with contextlib.suppress(Conflict):
                self._db.create(RankingRow, name=RANKING)
        return RANKING


def _rank(ranking: RankingRow, hero: HeroRow) -> None:
    """Put a hero into the ranking at his place."""
    others = [entry for entry in json.loads(str(ranking.best)) if entry[0] != hero.key]
    everybody = [*others, [hero.key, hero.name, hero.score]]
    everybody.sort(key=lambda entry: (-entry[2], entry[0]))
    ranking.best = json.dumps(everybody[:PLACES], ensure_ascii=False)
