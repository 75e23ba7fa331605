"""`CachedModel`: what a game's models inherit from."""

from __future__ import annotations

from peewee import BigIntegerField, Model

__all__ = ["CachedModel"]


class CachedModel(Model):
    """A peewee model whose rows live in the db-cache.

    It is never bound to a database: rows are read and written by `ctx.db`, or by `query.execute(database)` in tools.
    The primary key is one integer or text column. `class Meta: durability = "fsync"` overrides the service's mode.
    """

    __firefly_stable__ = True
    """Tables, journal and rows in memory know the class: the module that defines it is never made anew by a reload."""

    ver = BigIntegerField(default=0)
    """The row's version: given by the owner, higher after every change, 0 in an object that was never stored."""

    class Meta:
        legacy_table_names = False
