"""What the orchard stores: every catch of every player, in the order in which they were counted."""

from __future__ import annotations

import peewee
from firefly_dbcache.model import CachedModel


class Basket(CachedModel):
    player = peewee.IntegerField(primary_key=True)
    catches = peewee.IntegerField(default=0)
    numbers = peewee.TextField(default="")
