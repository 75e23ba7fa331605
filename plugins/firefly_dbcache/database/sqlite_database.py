"""SQLite, off the hub: one thread owns the one connection.

With more threads gevent's locks lose wake-ups between them; in the hub every wait for the disk would stop the server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, TypeVar

import peewee

from firefly_dbcache.database.database import Database, Work
from firefly_dbcache.database.worker import Worker

__all__ = ["SqliteDatabase"]

T = TypeVar("T")

FIELD_TYPES = {"DECIMAL": "TEXT"}  # a column that SQLite takes for a number keeps 15 digits
PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",  # the journal lets go of what is committed: that must survive what the journal survives
    "foreign_keys": 1,
}


class SqliteDatabase(Database):
    """One SQLite file. Transactions are immediate, so that they never fail half-way for a lock."""

    kind: ClassVar[str] = "sqlite"
    lock_rows: ClassVar[bool] = False

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__(1, timeout)
        self._path = path
        self._thread: Worker | None = Worker()

    def make(self) -> Any:
        if self._path != ":memory:":
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        return peewee.SqliteDatabase(
            self._path,
            pragmas={**PRAGMAS, "busy_timeout": int(self.timeout * 1000)},
            thread_safe=False,
            check_same_thread=False,
            field_types=FIELD_TYPES,
        )

    def run(self, work: Work[T]) -> T:
        """Do some work in the database's thread. SQLite itself bounds it: its waits for locks end after `timeout`."""
        with self._turn() as database:
            assert self._thread is not None
            done: T = self._thread.do(self._work, database, work)
            return done

    def _work(self, database: Any, work: Work[T]) -> T:
        try:
            if database.is_closed():
                database.connect()
            return work(database)
        except Exception as error:
            raise self._told(database, error) from error

    def begin(self, database: Any) -> None:
        database.execute_sql("BEGIN IMMEDIATE")

    def refuses(self, error: Exception) -> bool:
        missing = isinstance(error, peewee.OperationalError) and "column" in str(error)
        return missing or super().refuses(error)

    def upsert(self, connection: Any, table: peewee.Table, columns: dict[str, str]) -> str:
        return upsert_by_conflict(connection, table, list(columns))

    def close(self) -> None:
        if self._thread is not None and not self._closed:
            self._thread.do(super().close)
            self._thread.stop()
            self._thread = None


def upsert_by_conflict(connection: Any, table: peewee.Table, names: list[str]) -> str:
    """Give the upsert of SQLite and PostgreSQL: the row that is there stays unless the new one's version is higher."""
    columns = [getattr(table.c, name) for name in names]
    update = {column: getattr(peewee.EXCLUDED, name) for column, name in zip(columns[1:], names[1:], strict=True)}
    query = table.insert([[None] * len(names)], columns=columns)
    query = query.on_conflict(conflict_target=columns[:1], update=update, where=peewee.EXCLUDED.ver > table.c.ver)
    text: str = query.bind(connection).sql()[0]
    return text
