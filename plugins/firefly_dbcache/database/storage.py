"""The rows in the database: reading them, and writing batches of changes so that nothing older ever wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import peewee
from peewee import sort_models  # type: ignore[attr-defined]

from firefly_dbcache.database.database import Database
from firefly_dbcache.database.ledger import Ledger
from firefly_dbcache.rows.overlay import Change
from firefly_dbcache.rows.table import Key, Row, Table

__all__ = ["Storage"]

CHUNK = 500


class _Statements:
    """The statements of one table, as text; made once for each kind of database."""

    def __init__(self, table: Table, database: Database, connection: Any) -> None:
        self.rows = peewee.Table(table.name)
        self.columns = [getattr(self.rows.c, column.column) for column in table.columns]
        self.key = self.columns[0]
        self.ver = self.columns[1]
        context = connection.get_sql_context()
        kinds = {column.column: column.field.ddl_datatype(context).sql for column in table.columns}
        self.upsert = database.upsert(connection, self.rows, kinds)
        delete = self.rows.delete().where((self.key == 0) & (self.ver < 0))
        self.delete: str = delete.bind(connection).sql()[0]


class Storage:
    """The tables of one database. Raises what `Database.run` raises; `flush` also raises Fenced."""

    def __init__(self, database: Database, tables: Sequence[Table], ledger: Ledger, at: Callable[[str], None]) -> None:
        self.database = database
        self._at = at
        self.ledger = ledger
        order = sort_models([table.model for table in tables])
        self._order = {model: place for place, model in enumerate(order)}
        connection = database.make()
        self._statements = {table: _Statements(table, database, connection) for table in tables}

    # ----------------------------------------------------------------------------------------------------- reading

    def read(self, table: Table, keys: Sequence[Key]) -> dict[Key, Row]:
        """Give those of the rows that exist."""
        made = self._statements[table]

        def work(database: Any) -> dict[Key, Row]:
            found: dict[Key, Row] = {}
            for start in range(0, len(keys), CHUNK):
                query = made.rows.select(*made.columns).where(made.key.in_(list(keys[start : start + CHUNK])))
                found.update(self._rows(table, query, database))
            return found

        return self.database.run(work)

    def find(self, table: Table, places: Sequence[int], values: Sequence[Any], limit: int) -> dict[Key, Row]:
        """Give at most `limit` rows that have these values in these columns."""
        made = self._statements[table]
        sent = [
            value if value is None or table.columns[place].send is None else table.columns[place].send(value)  # type: ignore[misc]
            for place, value in zip(places, values, strict=True)
        ]

        def work(database: Any) -> dict[Key, Row]:
            query = made.rows.select(*made.columns).limit(limit)
            for place, value in zip(places, sent, strict=True):
                column = made.columns[place]
                query = query.where(column.is_null() if value is None else column == value)
            return self._rows(table, query, database)

        return self.database.run(work)

    def scan(self, table: Table, after: Key | None, limit: int) -> dict[Key, Row]:
        """Give the next `limit` rows in the order of their keys."""
        made = self._statements[table]

        def work(database: Any) -> dict[Key, Row]:
            query = made.rows.select(*made.columns).order_by(made.key).limit(limit)
            if after is not None:
                query = query.where(made.key > after)
            return self._rows(table, query, database)

        return self.database.run(work)

    def _rows(self, table: Table, query: Any, database: Any) -> dict[Key, Row]:
        sql, parameters = query.bind(database).sql()
        rows = map(table.receive, database.execute_sql(sql, parameters).fetchall())
        return {row[0]: row for row in rows}

    def highest(self, tables: Iterable[Table]) -> dict[Table, tuple[int, int]]:
        """Give the highest automatic key (0 where keys are not) and the highest version of each table."""

        def work(database: Any) -> dict[Table, tuple[int, int]]:
            found = {}
            for table in tables:
                made = self._statements[table]
                what = peewee.fn.MAX(made.key) if table.automatic else peewee.Value(0)
                sql, parameters = made.rows.select(what, peewee.fn.MAX(made.ver)).bind(database).sql()
                key, ver = database.execute_sql(sql, parameters).fetchone()
                noted = self.ledger.sequence(database, table.name) if table.automatic else 0
                found[table] = (max(key or 0, noted), ver or 0)
            return found

        return self.database.run(work)

    # ----------------------------------------------------------------------------------------------------- writing

    def flush(self, changes: Sequence[Change], now: float) -> None:
        """Commit changes in one transaction. Repeatable in any order: per row the highest version wins."""

        def work(database: Any) -> None:
            self.ledger.check(database)
            self._write(database, changes, int(now))
            self._note(database, changes)

        self.database.transaction(work)

    def sift(self, changes: Sequence[Change], now: float) -> dict[Change, str]:
        """Commit those changes that the database takes, in one transaction; gives the others, each with the reason."""
        refused: dict[Change, str] = {}

        def work(database: Any) -> None:
            refused.clear()
            self.ledger.check(database)
            self._sift(database, changes, int(now), refused)
            taken = [change for change in changes if change not in refused]
            if taken:
                self._note(database, taken)

        self.database.transaction(work)
        return refused

    def _sift(
        self, database: Any, changes: Sequence[Change], now: int, refused: dict[Change, str], depth: int = 0
    ) -> None:
        """Halve what is refused until the refused rows stand alone; savepoints keep the rest."""
        savepoint = f"firefly_{depth}"  # MySQL has one savepoint of a name, however deep
        database.execute_sql(f"SAVEPOINT {savepoint}")
        try:
            self._write(database, changes, now)
        except Exception as error:
            if not self.database.refuses(error):
                raise
            database.execute_sql(f"ROLLBACK TO SAVEPOINT {savepoint}")
            if len(changes) == 1:
                refused[changes[0]] = f"{type(error).__name__}: {error}"
            else:
                middle = len(changes) // 2
                self._sift(database, changes[:middle], now, refused, depth + 1)
                self._sift(database, changes[middle:], now, refused, depth + 1)
        database.execute_sql(f"RELEASE SAVEPOINT {savepoint}")

    def _write(self, database: Any, changes: Sequence[Change], now: int) -> None:
        upserts, deletes = self._sorted(changes)
        for table, many in upserts.items():
            self._upsert(database, table, many, [table.send(change.row) for change in many if change.row])
        self._at("mid_batch")
        for table, many in deletes.items():
            self._delete(database, table, many, now)

    def _note(self, database: Any, changes: Sequence[Change]) -> None:
        sequences: dict[str, int] = {}
        for change in changes:
            if change.row is not None and change.table.automatic:
                sequences[change.table.name] = max(sequences.get(change.table.name, 0), int(change.key))
        self.ledger.note(database, max(change.ver for change in changes), sequences)

    def _sorted(self, changes: Sequence[Change]) -> tuple[dict[Table, list[Change]], dict[Table, list[Change]]]:
        """Give upserts and deletions by table: parents are written before children, and deleted after them."""
        upserts: dict[Table, list[Change]] = {}
        deletes: dict[Table, list[Change]] = {}
        for change in changes:
            (deletes if change.row is None else upserts).setdefault(change.table, []).append(change)
        place = lambda item: self._order[item[0].model]  # noqa: E731
        return dict(sorted(upserts.items(), key=place)), dict(sorted(deletes.items(), key=place, reverse=True))

    def _upsert(self, database: Any, table: Table, changes: list[Change], rows: list[Row]) -> None:
        dead = self.ledger.tombstones(database, table.name, (str(change.key) for change in changes))
        if dead:
            pairs = zip(changes, rows, strict=True)
            rows = [row for change, row in pairs if dead.get(str(change.key), -1) < change.ver]
        if rows:
            self.database.write_rows(database, self._statements[table].upsert, rows)

    def _delete(self, database: Any, table: Table, changes: list[Change], now: int) -> None:
        dead = self.ledger.tombstones(database, table.name, (str(change.key) for change in changes))
        stones = [(table.name, str(change.key), change.ver, now) for change in changes]
        self.ledger.bury(database, stones, dead)
        pairs = [(change.key, change.ver) for change in changes]
        self.database.executemany(database, self._statements[table].delete, pairs)
