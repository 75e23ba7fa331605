"""PostgreSQL by psycopg 3, which cooperates with gevent by itself."""

from __future__ import annotations

from typing import Any, ClassVar

import peewee

from firefly_dbcache.database.database import Database
from firefly_dbcache.database.sqlite_database import upsert_by_conflict

__all__ = ["PostgresDatabase"]


REFUSALS = ("22", "23", "44", "54", "42703", "P0001")
"""SQLSTATEs: bad data, constraints, the program's limits (a text too long for its index), unknown columns, triggers."""
SERIALS = {"SERIAL": "INTEGER", "BIGSERIAL": "BIGINT"}


class PostgresDatabase(Database):
    """One PostgreSQL database. `parameters` are psycopg's."""

    kind: ClassVar[str] = "postgresql"
    FIELD_TYPES: ClassVar[dict[str, str]] = {"FLOAT": "DOUBLE PRECISION"}

    def __init__(self, parameters: dict[str, Any], connections: int, timeout: float, connect_timeout: float) -> None:
        super().__init__(connections, timeout)
        milliseconds = int(timeout * 1000)
        self._parameters = {
            "connect_timeout": max(2, int(connect_timeout)),
            "tcp_user_timeout": milliseconds,
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} "
            f"-c idle_in_transaction_session_timeout={2 * milliseconds}",
            **parameters,
        }

    def make(self) -> Any:
        parameters = dict(self._parameters)
        name = parameters.pop("dbname")
        return peewee.PostgresqlDatabase(
            name, prefer_psycopg3=True, thread_safe=False, field_types=self.FIELD_TYPES, **parameters
        )

    def refuses(self, error: Exception) -> bool:
        cause = getattr(error, "orig", None) or error.__cause__
        return (getattr(cause, "sqlstate", None) or "").startswith(REFUSALS) or super().refuses(error)

    def upsert(self, connection: Any, table: peewee.Table, columns: dict[str, str]) -> str:
        """All rows in one statement, a list of values for each column: much less work than a statement a row."""
        text = upsert_by_conflict(connection, table, list(columns))
        values = f"VALUES ({', '.join(['%s'] * len(columns))})"
        assert values in text
        lists = ", ".join(f"%s::{SERIALS.get(kind, kind)}[]" for kind in columns.values())
        return text.replace(values, f"SELECT * FROM unnest({lists})", 1)  # noqa: S608  types of the models' columns

    def write_rows(self, database: Any, upsert: str, rows: list[Any]) -> None:
        database.execute_sql(upsert, [list(column) for column in zip(*rows, strict=True)])

    def drop(self, connection: Any) -> None:
        connection.pgconn.finish()
