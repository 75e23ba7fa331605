"""MySQL and MariaDB by PyMySQL, which is Python all through and so cooperates with gevent."""

from __future__ import annotations

from typing import Any, ClassVar

import peewee
from peewee import fn

from firefly_dbcache.database.database import Database, wrapped_errors

__all__ = ["MysqlDatabase"]

REFUSALS = {
    1054: "unknown column",
    1118: "row too large for its table",
    1292: "wrong value",
    1366: "wrong value for a column",
    1644: "refused by a trigger",
    1690: "value out of range",
    3140: "no valid JSON",
    3819: "CHECK constraint, in MySQL",
    4025: "CHECK constraint, in MariaDB",
}
"""Errors of a row that PyMySQL calls operational, as if trying again could help."""
LONGER = 8
"""A text of a row grows by this at most on its way into a statement: four bytes a character, each escaped."""
ROOM = 1024
"""Bytes of a packet that are left to the protocol."""


class MysqlDatabase(Database):
    """One MySQL or MariaDB database. `parameters` are PyMySQL's."""

    kind: ClassVar[str] = "mysql"
    # What peewee would make differs from what the other databases keep: whole seconds, 64 KiB of text, short floats.
    FIELD_TYPES: ClassVar[dict[str, str]] = {
        "FLOAT": "DOUBLE PRECISION",
        "DATETIME": "DATETIME(6)",
        "TIME": "TIME(6)",
        "TEXT": "LONGTEXT",
        "BLOB": "LONGBLOB",
    }

    def __init__(self, parameters: dict[str, Any], connections: int, timeout: float, connect_timeout: float) -> None:
        super().__init__(connections, timeout)
        seconds = max(1, int(timeout))
        self._parameters = {
            "connect_timeout": max(1, int(connect_timeout)),
            "read_timeout": seconds,
            "write_timeout": seconds,
            "charset": "utf8mb4",
            "sql_mode": "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO",
            **parameters,
        }

    def make(self) -> Any:
        parameters = dict(self._parameters)
        name = parameters.pop("database")
        return peewee.MySQLDatabase(name, thread_safe=False, field_types=self.FIELD_TYPES, **parameters)

    def refuses(self, error: Exception) -> bool:
        code = error.args[0] if error.args else None
        return code in REFUSALS or super().refuses(error)

    def upsert(self, connection: Any, table: peewee.Table, columns: dict[str, str]) -> str:
        key = next(iter(columns))
        made = {name: getattr(table.c, name) for name in columns}
        ver = made["ver"]
        newer = fn.VALUES(ver) > ver
        update = {
            column: fn.IF(newer, fn.VALUES(column), column) for name, column in made.items() if name not in (key, "ver")
        }
        update[ver] = fn.GREATEST(ver, fn.VALUES(ver))  # last: the conditions before it read the former version
        query = table.insert([[None] * len(columns)], columns=list(made.values())).on_conflict(update=update)
        text: str = query.bind(connection).sql()[0]
        return text

    def write_rows(self, database: Any, upsert: str, rows: list[Any]) -> None:
        """Send statements that the server takes, and refuse a row, before it is sent, that it would hang up on.

        Such a row would be tried again for ever, and the others would wait behind it.
        """
        cursor = database.cursor()
        with wrapped_errors:
            cursor.execute("SELECT @@max_allowed_packet")
            most = cursor.fetchone()[0] - ROOM
            for row in rows:
                if sum(len(value) for value in row if isinstance(value, str | bytes)) > most // LONGER:
                    size = len(cursor.mogrify(upsert, row).encode(errors="surrogateescape"))
                    if size > most:
                        raise ValueError(f"the row takes {size} bytes, max_allowed_packet leaves {most}")
            cursor.max_stmt_length = min(cursor.max_stmt_length, most)
            cursor.executemany(upsert, rows)

    def table_options(self, database: Any) -> str:
        (version,) = database.execute_sql("SELECT VERSION()").fetchone()
        collation = "utf8mb4_nopad_bin" if "mariadb" in version.lower() else "utf8mb4_0900_bin"
        return f" DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"

    def drop(self, connection: Any) -> None:
        connection._force_close()
