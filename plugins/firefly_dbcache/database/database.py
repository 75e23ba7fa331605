"""The database by URL: a few connections, each used by one piece of work at a time, with a limit on every wait.

Work is a function of a peewee database; peewee's own pools and locks are not used, because a lock is held over connect
there and a connection is bound to a greenlet. A connection that failed is closed hard and made anew by the next work.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import gevent
import peewee

from firefly_core.errors import StorageError, StorageUnavailable
from firefly_dbcache.database.turnstile import Turnstile

__all__ = ["Database", "Refused", "Work", "wrapped_errors"]

wrapped_errors: Any = peewee.__exception_wrapper__  # type: ignore[attr-defined]
"""A context in which errors of the drivers become peewee's."""

T = TypeVar("T")
Work = Callable[[Any], T]


class Refused(StorageError):
    """The database refuses these values for good: trying again cannot help."""


class Database(abc.ABC):
    """A database of one kind. `run` and `transaction` raise StorageUnavailable (try again) or Refused (never will)."""

    kind: ClassVar[str]
    lock_rows: ClassVar[bool] = True
    """Whether a transaction locks rows by SELECT ... FOR UPDATE; False: it has the whole database."""

    def __init__(self, connections: int, timeout: float) -> None:
        self.timeout = timeout
        self._free: list[Any] = []
        self._turns = Turnstile(connections)
        self._closed = False

    # ------------------------------------------------------------------------------------ what a kind has to say

    @abc.abstractmethod
    def make(self) -> Any:
        """Give a new peewee database that is not connected."""

    @abc.abstractmethod
    def upsert(self, connection: Any, table: peewee.Table, columns: dict[str, str]) -> str:
        """Give the statement that inserts a row, or replaces it if its `ver` is higher.

        `columns` are names with their types, the key first.
        """

    def write_rows(self, database: Any, upsert: str, rows: list[Any]) -> None:
        """Execute the statement that `upsert` gave for each row."""
        self.executemany(database, upsert, rows)

    def refuses(self, error: Exception) -> bool:
        """Whether an error of the driver says that the same statement can never succeed."""
        return isinstance(error, peewee.IntegrityError | peewee.DataError | ValueError | TypeError | OverflowError)

    def begin(self, database: Any) -> None:
        """Begin a transaction."""
        database.execute_sql("BEGIN")

    def table_options(self, database: Any) -> str:  # noqa: ARG002
        """Give what stands behind the closing bracket of CREATE TABLE."""
        return ""

    def executemany(self, database: Any, sql: str, rows: list[Any]) -> None:
        """Execute a statement for each row."""
        cursor = database.cursor()
        with wrapped_errors:
            cursor.executemany(sql, rows)

    # ---------------------------------------------------------------------------------------------------- working

    def run(self, work: Work[T]) -> T:
        """Do some work on a connection of its own, each statement committed by itself; blocks this greenlet only."""
        with self._turn() as database:
            return self._bounded(database, lambda: work(database))

    def transaction(self, work: Work[T]) -> T:
        """Do some work in one transaction: all of it is committed when this returns, none when it raises.

        One exception: when the connection fails during COMMIT, it is not known; the work must be repeatable.
        """

        def whole(database: Any) -> T:
            self.begin(database)
            try:
                done = work(database)
            except Exception:
                self._roll_back(database)
                raise
            database.execute_sql("COMMIT")
            return done

        return self.run(whole)

    def _roll_back(self, database: Any) -> None:
        """End a transaction that has failed; what it failed of is being raised, so this raises nothing."""
        try:
            database.execute_sql("ROLLBACK")
        except Exception:  # the connection is lost, or the database has rolled back by itself
            self.close_hard(database)

    def _turn(self) -> _Turn:
        return _Turn(self)

    def take(self) -> Any:
        """Wait for a connection; raises StorageUnavailable."""
        if self._closed:
            raise StorageUnavailable("the database is closed")
        if not self._turns.acquire(self.timeout):
            raise StorageUnavailable(f"all connections to the database were busy for {self.timeout} s")
        return self._free.pop() if self._free else self.make()

    def give(self, database: Any) -> None:
        """Give a connection back."""
        self._free.append(database)
        self._turns.release()

    def _bounded(self, database: Any, work: Callable[[], T]) -> T:
        """Run work within the time limit and say its errors in our words."""
        timer = gevent.Timeout(self.timeout)
        timer.start()
        try:
            if database.is_closed():
                database.connect()
            return work()
        except gevent.Timeout as expired:
            self.close_hard(database)
            if expired is not timer:
                raise
            raise StorageUnavailable(f"the database did not answer within {self.timeout} s") from None
        except Exception as error:
            raise self._told(database, error) from error
        except BaseException:
            self.close_hard(database)
            raise
        finally:
            timer.close()

    def _told(self, database: Any, error: Exception) -> Exception:
        if isinstance(error, StorageError):
            return error
        if self.refuses(error):
            return Refused(f"{type(error).__name__}: {error}")
        if isinstance(error, peewee.PeeweeException | OSError):
            self.close_hard(database)
            return StorageUnavailable(f"{type(error).__name__}: {error}")
        self.close_hard(database)
        return error

    def close_hard(self, database: Any) -> None:
        """Drop a connection without asking the server."""
        state = database._state
        connection = None if state.closed else state.conn
        database.dispose()
        if connection is not None:
            with contextlib.suppress(Exception):  # whatever is wrong with it, it is gone
                self.drop(connection)

    def drop(self, connection: Any) -> None:
        """Close a driver's connection without waiting for the server."""
        connection.close()

    def close(self) -> None:
        """Close every connection that is not in use; nothing can be run afterwards."""
        self._closed = True
        while self._free:
            self.close_hard(self._free.pop())


class _Turn:
    """One use of a connection."""

    def __init__(self, owner: Database) -> None:
        self._owner = owner
        self._database: Any = None

    def __enter__(self) -> Any:
        self._database = self._owner.take()
        return self._database

    def __exit__(self, *_: object) -> None:
        self._owner.give(self._database)
