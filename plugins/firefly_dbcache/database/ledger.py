"""What the db-cache keeps about itself in the database: who owns it, the highest keys given out, what was deleted.

- `firefly_owner`, one row: the journal that belongs to this database, the epoch of its owner, the highest version.
  Every transaction of an owner locks and checks it, so a former owner that still runs cannot write (*fencing*).
- `firefly_sequence`: the highest automatic key of each table, so that a deleted row's is never given out again.
- `firefly_tombstone`: a deleted row's version, so that no older state of it can come back. Removed after a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import peewee

from firefly_core.errors import ConfigurationError, StorageError
from firefly_dbcache.database.database import Database

__all__ = ["Fenced", "Ledger", "Ownership", "ledger_models"]


FEW = 200
"""Tombstones of a table that are read whole."""


class Fenced(StorageError):
    """Another owner has taken the database over; this one must not write any more."""


class OwnerRow(peewee.Model):
    """The one row that says whose this database is."""

    id = peewee.IntegerField(primary_key=True)
    journal = peewee.CharField(max_length=64)
    place = peewee.CharField(max_length=255)
    epoch = peewee.BigIntegerField()
    version = peewee.BigIntegerField()
    clean = peewee.BooleanField()

    class Meta:
        table_name = "firefly_owner"


class SequenceRow(peewee.Model):
    """The highest automatic key of one table."""

    name = peewee.CharField(max_length=64, primary_key=True)
    last = peewee.BigIntegerField()

    class Meta:
        table_name = "firefly_sequence"


class TombstoneRow(peewee.Model):
    """One deleted row."""

    name = peewee.CharField(max_length=64)
    key = peewee.CharField(max_length=255)
    ver = peewee.BigIntegerField()
    deleted = peewee.BigIntegerField(index=True)

    class Meta:
        table_name = "firefly_tombstone"
        primary_key = peewee.CompositeKey("name", "key")


def ledger_models() -> list[type[peewee.Model]]:
    """Give the models of the db-cache's own tables."""
    return [OwnerRow, SequenceRow, TombstoneRow]


@attrs.frozen
class Ownership:
    """What taking a database over has told."""

    epoch: int
    version: int
    """The highest version that the database may hold; 0 when it was never owned."""
    fresh: bool
    """Whether no db-cache has owned this database before."""
    clean: bool


class Ledger:
    """One owner's hold on one database."""

    def __init__(self, database: Database, journal: str, place: str) -> None:
        self.epoch = 0
        self._database = database
        self.journal = journal
        self._place = place[-255:]

    def _read(self, database: Any) -> OwnerRow | None:
        query = OwnerRow.select().where(OwnerRow.id == 1)
        if self._database.lock_rows:
            query = query.for_update()
        found: list[OwnerRow] = list(query.bind(database))
        return found[0] if found else None

    def take(self, *, by_force: bool = False) -> Ownership:
        """Become the owner, with a higher epoch than any before.

        Raises ConfigurationError when the database belongs to another journal that was not stopped cleanly, since that
        one may hold changes which were acknowledged; `by_force` takes it all the same.
        """

        def work(database: Any) -> Ownership:
            row = self._read(database)
            if row is None:
                fields = {
                    "id": 1,
                    "journal": self.journal,
                    "place": self._place,
                    "epoch": 1,
                    "version": 0,
                    "clean": False,
                }
                OwnerRow.insert(**fields).execute(database)
                return Ownership(1, 0, fresh=True, clean=True)
            if row.journal != self.journal and not row.clean and not by_force:
                raise ConfigurationError(
                    [
                        f"the database belongs to the journal at {row.place} ({row.journal}), which was not stopped "
                        f"cleanly and may hold acknowledged changes; start its owner, or give it up with "
                        f"`firefly-run db repair --take`"
                    ]
                )
            update = OwnerRow.update(journal=self.journal, place=self._place, epoch=row.epoch + 1, clean=False)
            update.where(OwnerRow.id == 1).execute(database)
            return Ownership(row.epoch + 1, row.version, fresh=False, clean=bool(row.clean))

        ownership = self._database.transaction(work)
        self.epoch = ownership.epoch
        return ownership

    def peek(self) -> OwnerRow | None:
        """Give the owner's row as it is, or None when there is none."""
        return self._database.run(
            lambda database: self._peek(database) if database.table_exists(OwnerRow._meta.table_name) else None
        )

    @staticmethod
    def _peek(database: Any) -> OwnerRow | None:
        found: list[OwnerRow] = list(OwnerRow.select().where(OwnerRow.id == 1).bind(database))
        return found[0] if found else None

    def check(self, database: Any) -> None:
        """Lock the owner's row in a transaction; raises Fenced unless this owner is still the one."""
        row = self._read(database)
        if row is None or row.epoch != self.epoch or row.journal != self.journal:
            told = "nobody" if row is None else f"epoch {row.epoch} at {row.place}"
            raise Fenced(f"the database is owned by {told}, no more by epoch {self.epoch}")

    def note(self, database: Any, version: int, sequences: Mapping[str, int]) -> None:
        """Keep the highest version and the highest automatic keys of what is being written."""
        where = (OwnerRow.id == 1) & (OwnerRow.version < version)
        OwnerRow.update(version=version).where(where).execute(database)
        for name, last in sequences.items():
            where = (SequenceRow.name == name) & (SequenceRow.last < last)
            if not SequenceRow.update(last=last).where(where).execute(database):
                known = SequenceRow.select().where(SequenceRow.name == name).bind(database)
                if not list(known):
                    SequenceRow.insert(name=name, last=last).execute(database)

    def note_version(self, version: int) -> None:
        """Keep the version with which this owner begins."""

        def work(database: Any) -> None:
            self.check(database)
            self.note(database, version, {})

        self._database.transaction(work)

    def sequence(self, database: Any, name: str) -> int:
        """Give the highest automatic key that a table ever had, as far as it was noted."""
        found: list[SequenceRow] = list(SequenceRow.select().where(SequenceRow.name == name).bind(database))
        return int(found[0].last) if found else 0

    def release(self) -> None:
        """Say that nothing unflushed is left in the journal: another one may take over."""

        def work(database: Any) -> None:
            self.check(database)
            OwnerRow.update(clean=True).where(OwnerRow.id == 1).execute(database)

        self._database.transaction(work)

    # ------------------------------------------------------------------------------------------------- tombstones

    @staticmethod
    def tombstones(database: Any, name: str, keys: Iterable[str]) -> dict[str, int]:
        """Give the versions of those keys of a table that were deleted, and maybe some of others."""
        query: Any = TombstoneRow.select(TombstoneRow.key, TombstoneRow.ver).where(TombstoneRow.name == name).tuples()
        found = dict(query.limit(FEW).bind(database))
        if len(found) == FEW:  # a query that names hundreds of keys costs more than all else in a batch
            found = dict(query.where(TombstoneRow.key.in_(list(keys))).bind(database))
        return found

    @staticmethod
    def bury(database: Any, rows: list[tuple[str, str, int, int]], known: Mapping[str, int]) -> None:
        """Write tombstones (table, key, version, time); `known` are the table's that are there."""
        fresh = [row for row in rows if row[1] not in known]
        for start in range(0, len(fresh), 100):
            TombstoneRow.insert_many(fresh[start : start + 100], list(TombstoneRow._meta.sorted_fields)).execute(
                database
            )
        for name, key, ver, deleted in rows:
            if key in known and known[key] < ver:
                where = (TombstoneRow.name == name) & (TombstoneRow.key == key)
                TombstoneRow.update(ver=ver, deleted=deleted).where(where).execute(database)

    def purge(self, before: int) -> int:
        """Remove the tombstones of rows that were deleted before that time; gives their number."""

        def work(database: Any) -> int:
            self.check(database)
            return int(TombstoneRow.delete().where(TombstoneRow.deleted < before).execute(database))

        return self._database.transaction(work)
