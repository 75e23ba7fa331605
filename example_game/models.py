"""What the Meadow keeps for ever, as rows of the db-cache."""

from __future__ import annotations

from firefly_dbcache import CachedModel
from peewee import CharField, IntegerField, TextField

__all__ = ["HeroRow", "RankingRow"]


class HeroRow(CachedModel):
    """A hero: his key is the player's uid."""

    key = CharField(max_length=64, primary_key=True)
    name = CharField(max_length=16)
    score = IntegerField(default=0)
    gold = IntegerField(default=0)

    class Meta:
        table_name = "hero"


class RankingRow(CachedModel):
    """A ranking: the best heroes as JSON, `[[key, name, score], ...]`, best first."""

    name = CharField(max_length=32, primary_key=True)
    best = TextField(default="[]")

    class Meta:
        table_name = "ranking"
