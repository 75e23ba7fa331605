"""The tables in the database compared with the models, before the first row is written. Nothing is altered here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import peewee
from peewee import sort_models  # type: ignore[attr-defined]

from firefly_dbcache.database.database import Database
from firefly_dbcache.database.found_columns import Found, found_columns
from firefly_dbcache.database.ledger import ledger_models
from firefly_dbcache.rows.column import Column
from firefly_dbcache.rows.table import Table

__all__ = ["Schema"]

INTEGERS = {"SMALLINT": 16, "INT": 32, "AUTO": 32, "BIGINT": 64, "BIGAUTO": 64}
TEXTS = frozenset({"character varying", "varchar", "text", "longtext", "mediumtext"})
TYPES: dict[str, frozenset[str]] = {
    "BOOL": frozenset({"boolean", "tinyint", "integer", "bool"}),
    "FLOAT": frozenset({"double precision", "double", "real", "float"}),
    "VARCHAR": TEXTS,
    "TEXT": frozenset({"text", "longtext"}),
    "BLOB": frozenset({"bytea", "blob", "longblob"}),
    "DECIMAL": frozenset({"numeric", "decimal", "text"}),
    "DATETIME": frozenset({"timestamp without time zone", "datetime"}),
    "DATE": frozenset({"date"}),
    "TIME": frozenset({"time without time zone", "time"}),
    "UUID": TEXTS | {"uuid", "char"},
    "JSON": frozenset({"jsonb", "json", "text", "longtext"}),
}
EXACT_COLLATIONS = ("utf8mb4_nopad_bin", "utf8mb4_0900_bin")


class Schema:
    """The comparison for one database. Raises what `Database.run` raises."""

    def __init__(self, database: Database, tables: Sequence[Table]) -> None:
        self._database = database
        self._tables = tables

    def create_ledger(self) -> None:
        """Create the db-cache's own tables where they are missing."""
        self._database.transaction(lambda database: self._create(database, ledger_models()))

    def create_missing(self) -> list[str]:
        """Create the models' tables that are missing; gives their names."""

        def work(database: Any) -> list[str]:
            known = set(database.get_tables())
            missing = [table for table in self._stored() if table.name not in known]
            self._create(database, sort_models([table.model for table in missing]))
            return [table.name for table in missing]

        return self._database.transaction(work)

    def missing(self) -> list[str]:
        """Give the names of the tables that do not exist."""
        known = self._database.run(lambda database: set(database.get_tables()))
        return [table.name for table in self._stored() if table.name not in known]

    def differences(self) -> list[str]:
        """Give every difference between tables that exist and their models, each naming the column."""

        def work(database: Any) -> list[str]:
            known = set(database.get_tables())
            found: list[str] = []
            for table in self._stored():
                if table.name in known:
                    found += compare(table, found_columns(self._database.kind, database, table.name))
            return found

        return self._database.run(work)

    def _stored(self) -> list[Table]:
        return [table for table in self._tables if table.stored]

    def _create(self, database: Any, models: Sequence[type[peewee.Model]]) -> None:
        known = set(database.get_tables())
        for model in models:
            manager: Any = peewee.SchemaManager(model, database=database)
            if manager.model._meta.table_name not in known:
                statement = manager._create_table(safe=True)
                statement.literal(self._database.table_options(database))
                database.execute(statement)
                manager.create_indexes(safe=self._database.kind != "mysql")


def compare(table: Table, found: Sequence[Found]) -> Iterator[str]:
    """Give every difference between a model and the columns that were found."""
    by_name = {column.name: column for column in found}
    for column in table.columns:
        there = by_name.pop(column.column, None)
        if there is None:
            yield f"{table.name}.{column.column}: the model has it, the database has not"
            continue
        for problem in _problems(table, column, there):
            yield f"{table.name}.{column.column}: {problem}"
    for name in by_name:
        yield f"{table.name}.{name}: the database has it, the model has not"


def _problems(table: Table, column: Column, there: Found) -> Iterator[str]:
    is_key = column is table.key
    if is_key != there.key:
        yield "it is the primary key in the model only" if is_key else "it is the primary key in the database only"
    if not is_key and column.null != there.null:
        yield "it may be null in the model only" if column.null else "it may be null in the database only"
    yield from there.notes
    if there.collation is not None and there.collation not in EXACT_COLLATIONS and (is_key or column.searched):
        yield f"the collation {there.collation} takes different texts for the same; use {' or '.join(EXACT_COLLATIONS)}"
    wanted = column.field.field_type
    kind = {"DOUBLE": "FLOAT", "CHAR": "VARCHAR"}.get(wanted, wanted)
    if wanted in INTEGERS:
        yield from _short_integer(there, INTEGERS[wanted])
    elif there.type not in TYPES.get(kind, ()):
        yield f"it is {there.type} in the database, {wanted.lower()} in the model"
    else:
        yield from _narrower(column, there, kind)


def _short_integer(there: Found, bits: int) -> Iterator[str]:
    if "int" not in there.type or there.length is None:
        yield f"it is {there.type} in the database, an integer in the model"
    elif there.length < bits:
        yield f"{there.length} bits in the database are fewer than the model's {bits}"


def _narrower(column: Column, there: Found, kind: str) -> Iterator[str]:
    if there.length is None:
        return
    field: Any = column.field
    while isinstance(field, peewee.ForeignKeyField):
        field = field.rel_field
    if kind == "VARCHAR" and there.length < field.max_length:
        yield f"{there.length} characters in the database are fewer than the model's {field.max_length}"
    if kind == "DECIMAL" and there.length < field.max_digits:
        yield f"{there.length} digits in the database are fewer than the model's {field.max_digits}"
    if kind == "FLOAT" and there.length < 8:
        yield "it keeps 7 digits in the database, 16 in the model"
