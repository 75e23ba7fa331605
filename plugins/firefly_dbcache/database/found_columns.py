"""What the three kinds of databases tell of a table's columns, in the same words."""

from __future__ import annotations

import re
from typing import Any

import attrs

__all__ = ["Found", "found_columns"]

BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "integer": 32, "bigint": 64}
SECONDS_DIGITS = 6


@attrs.frozen
class Found:
    """One column as the database tells it."""

    name: str
    type: str
    """In lower case, without its length."""
    length: int | None
    """Characters of a text, bits of an integer, digits of a decimal, bytes of a float; None: no limit, or not told."""
    null: bool
    key: bool
    notes: tuple[str, ...] = ()
    """What else would bend values, in words."""
    collation: str | None = None


def found_columns(kind: str, database: Any, table: str) -> list[Found]:
    """Ask a connected database of that kind for a table's columns."""
    return {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql}[kind](database, table)


def _sqlite(database: Any, table: str) -> list[Found]:
    rows = database.execute_sql('SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (table,)).fetchall()
    found = []
    for name, declared, required, key in rows:
        match = re.match(r"\s*([a-z ]*[a-z])\s*(?:\(\s*(\d+))?", declared.lower())
        kind, length = (match[1], match[2]) if match else ("", None)
        size = 64 if "int" in kind else 8 if kind in ("real", "float", "double") else int(length) if length else None
        found.append(Found(name, kind, size, not required, bool(key)))
    return found


POSTGRESQL = """
SELECT c.column_name, c.data_type, c.character_maximum_length, c.numeric_precision, c.is_nullable, c.datetime_precision,
    EXISTS (
        SELECT 1 FROM information_schema.table_constraints AS t
        JOIN information_schema.key_column_usage AS k USING (constraint_schema, constraint_name, table_name)
        WHERE t.constraint_type = 'PRIMARY KEY' AND t.table_schema = c.table_schema AND t.table_name = c.table_name
            AND k.column_name = c.column_name
    ),
    current_setting('server_encoding')
FROM information_schema.columns AS c
WHERE c.table_schema = current_schema() AND c.table_name = %s
ORDER BY c.ordinal_position
"""


def _postgresql(database: Any, table: str) -> list[Found]:
    found = []
    for name, kind, characters, digits, null, precision, key, encoding in database.execute_sql(POSTGRESQL, (table,)):
        length = BITS.get(kind) or {"real": 4, "double precision": 8}.get(kind) or characters
        if kind == "numeric":
            length = digits
        notes = []
        if encoding != "UTF8" and ("char" in kind or kind in ("text", "jsonb", "json")):
            notes.append(f"the database keeps texts as {encoding}, not UTF8")
        if kind.startswith("time") and precision is not None and precision < SECONDS_DIGITS:
            notes.append(f"it keeps {precision} digits of a second, not {SECONDS_DIGITS}")
        found.append(Found(name, kind, length, null == "YES", bool(key), tuple(notes)))
    return found


MYSQL = """
SELECT column_name, data_type, character_maximum_length, numeric_precision, is_nullable, datetime_precision, column_key,
    character_set_name, collation_name, column_type
FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = %s
ORDER BY ordinal_position
"""


def _mysql(database: Any, table: str) -> list[Found]:
    found = []
    rows = database.execute_sql(MYSQL, (table,)).fetchall()
    for name, kind, characters, digits, null, precision, key, charset, collation, full in rows:
        kind = kind.lower()
        length = BITS.get(kind) or {"float": 4, "double": 8}.get(kind) or characters
        if kind == "decimal":
            length = digits
        notes = []
        if "unsigned" in full.lower():
            notes.append("it is unsigned in the database")
        if charset is not None and charset != "utf8mb4":
            notes.append(f"the database keeps its texts as {charset}, not utf8mb4")
        if kind in ("datetime", "time") and precision is not None and precision < SECONDS_DIGITS:
            notes.append(f"it keeps {precision} digits of a second, not {SECONDS_DIGITS}")
        found.append(Found(name, kind, length, null == "YES", key == "PRI", tuple(notes), collation))
    return found
