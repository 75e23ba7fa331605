"""The model that the db-cache is measured with."""

from firefly_dbcache import CachedModel
from peewee import CharField, IntegerField


class Hero(CachedModel):
    """A row of a usual size."""

    name = CharField()
    gold = IntegerField(default=0)
    owner = IntegerField(index=True)
