"""The models that the db-cache's tests and promises store."""

from __future__ import annotations

import peewee
from firefly_dbcache.model import CachedModel


class Hero(CachedModel):
    name = peewee.CharField(max_length=40)
    gold = peewee.IntegerField(default=0)
    owner = peewee.IntegerField(index=True, default=0)


class Item(CachedModel):
    hero = peewee.IntegerField(index=True, default=0)
    kind = peewee.CharField(max_length=20, default="lantern")


class Account(CachedModel):
    """A key of its own, a unique column, the mode that waits for the disk."""

    login = peewee.CharField(max_length=100, primary_key=True)
    email = peewee.CharField(max_length=100, unique=True, null=True)
    coins = peewee.BigIntegerField(default=0)

    class Meta:
        durability = "fsync"


class Score(CachedModel):
    """The mode that a crash may cost a moment."""

    points = peewee.IntegerField(default=0)

    class Meta:
        durability = "async"


class Purchase(CachedModel):
    """The mode that waits for the database."""

    coins = peewee.IntegerField(default=0)

    class Meta:
        durability = "through"


class Mood(CachedModel):
    """The mode that never reaches the database."""

    hero = peewee.IntegerField(primary_key=True)
    word = peewee.CharField(max_length=20, default="")

    class Meta:
        durability = "cache"


class Everything(CachedModel):
    """A column of each supported kind."""

    small = peewee.SmallIntegerField(default=0)
    whole = peewee.IntegerField(default=0)
    big = peewee.BigIntegerField(default=0)
    flag = peewee.BooleanField(default=False)
    real = peewee.FloatField(default=0.0)
    double = peewee.DoubleField(default=0.0)
    short = peewee.CharField(max_length=20, default="")
    long = peewee.TextField(null=True)
    blob = peewee.BlobField(null=True)
    price = peewee.DecimalField(max_digits=20, decimal_places=4, null=True)
    moment = peewee.DateTimeField(null=True)
    day = peewee.DateField(null=True)
    clock = peewee.TimeField(null=True)
    token = peewee.UUIDField(null=True)
    bag = peewee.JSONField(null=True)
    friend = peewee.ForeignKeyField("self", null=True, lazy_load=False)


class Purse(CachedModel):
    """A rule that only the database knows."""

    gold = peewee.IntegerField(default=0, constraints=[peewee.Check("gold >= 0")])


class Title(CachedModel):
    """An indexed text that can be longer than PostgreSQL's indexes take."""

    text = peewee.CharField(max_length=9000, index=True)


class Tale(CachedModel):
    """A record of some 264 bytes."""

    text = peewee.TextField()


MODELS = (Hero, Item, Account, Score, Purchase, Mood, Everything)
