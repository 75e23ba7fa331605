"""The model that the db-cache is measured with."""

from peewee import CharField, IntegerField

from firefly_dbcache.model import CachedModel


class Hero(CachedModel):
    """A row of a usual size."""

    name = CharField()
    gold = IntegerField(default=0)
    owner = IntegerField(index=True)
