"""The ways in which a table can differ from its model, by kind of database."""

from __future__ import annotations

from typing import Any

import peewee
from firefly_dbcache.model import CachedModel

__all__ = ["DRIFTS", "Knight", "alter"]


class Knight(CachedModel):
    name = peewee.CharField(max_length=40, unique=True)
    gold = peewee.BigIntegerField(default=0)
    level = peewee.IntegerField(default=1)
    speed = peewee.DoubleField(default=0.0)
    motto = peewee.TextField(null=True)
    price = peewee.DecimalField(max_digits=20, decimal_places=4, null=True)
    born = peewee.DateTimeField(null=True)


DRIFTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a missing column": (
        "motto",
        "the model has it, the database has not",
        {"*": "ALTER TABLE knight DROP COLUMN motto"},
    ),
    "an unknown column": (
        "admin",
        "the database has it, the model has not",
        {"*": "ALTER TABLE knight ADD COLUMN admin INTEGER"},
    ),
    "a shorter text": (
        "name",
        "10 characters in the database are fewer",
        {
            "postgresql": "ALTER TABLE knight ALTER name TYPE varchar(10)",
            "mysql": "ALTER TABLE knight MODIFY name VARCHAR(10) COLLATE utf8mb4_nopad_bin NOT NULL",
            "sqlite": ("VARCHAR(40)", "VARCHAR(10)"),
        },
    ),
    "a shorter integer": (
        "gold",
        "32 bits in the database are fewer",
        {
            "postgresql": "ALTER TABLE knight ALTER gold TYPE integer",
            "mysql": "ALTER TABLE knight MODIFY gold INT NOT NULL",
        },
    ),
    "an unsigned integer": ("gold", "unsigned", {"mysql": "ALTER TABLE knight MODIFY gold BIGINT UNSIGNED NOT NULL"}),
    "another type": (
        "level",
        "in the database, an integer in the model",
        {
            "postgresql": "ALTER TABLE knight ALTER level TYPE text",
            "mysql": "ALTER TABLE knight MODIFY level TEXT NOT NULL",
            "sqlite": ('"level" INTEGER', '"level" TEXT'),
        },
    ),
    "a shorter float": (
        "speed",
        "7 digits in the database",
        {
            "postgresql": "ALTER TABLE knight ALTER speed TYPE real",
            "mysql": "ALTER TABLE knight MODIFY speed FLOAT NOT NULL",
        },
    ),
    "a shorter decimal": (
        "price",
        "8 digits in the database are fewer",
        {
            "postgresql": "ALTER TABLE knight ALTER price TYPE numeric(8, 4)",
            "mysql": "ALTER TABLE knight MODIFY price DECIMAL(8, 4)",
        },
    ),
    "null in the database": (
        "level",
        "it may be null in the database only",
        {
            "postgresql": "ALTER TABLE knight ALTER level DROP NOT NULL",
            "mysql": "ALTER TABLE knight MODIFY level INT",
            "sqlite": ('"level" INTEGER NOT NULL', '"level" INTEGER'),
        },
    ),
    "null in the model": (
        "motto",
        "it may be null in the model only",
        {
            "postgresql": "ALTER TABLE knight ALTER motto SET NOT NULL",
            "mysql": "ALTER TABLE knight MODIFY motto LONGTEXT NOT NULL",
            "sqlite": ('"motto" TEXT', '"motto" TEXT NOT NULL'),
        },
    ),
    "another key": (
        "id",
        "it is the primary key in the model only",
        {
            "postgresql": "ALTER TABLE knight DROP CONSTRAINT knight_pkey",
            "mysql": "ALTER TABLE knight MODIFY id INT NOT NULL, DROP PRIMARY KEY",
            "sqlite": ("NOT NULL PRIMARY KEY", "NOT NULL"),
        },
    ),
    "a short character set": (
        "motto",
        "utf8mb3, not utf8mb4",
        {"mysql": "ALTER TABLE knight MODIFY motto LONGTEXT CHARACTER SET utf8mb3"},
    ),
    "a collation that bends texts": (
        "name",
        "takes different texts for the same",
        {"mysql": "ALTER TABLE knight MODIFY name VARCHAR(40) COLLATE utf8mb4_general_ci NOT NULL"},
    ),
    "a short moment": (
        "born",
        "0 digits of a second",
        {
            "postgresql": "ALTER TABLE knight ALTER born TYPE timestamp(0)",
            "mysql": "ALTER TABLE knight MODIFY born DATETIME",
        },
    ),
}


def alter(owner: Any, change: str | tuple[str, str]) -> None:
    """Change the table: by SQL, or for SQLite by making it anew from its declaration with a part replaced."""

    def work(database: Any) -> None:
        if isinstance(change, str):
            database.execute_sql(change)
            return
        (declared,) = database.execute_sql("SELECT sql FROM sqlite_master WHERE name = 'knight'").fetchone()
        assert change[0] in declared
        database.execute_sql("DROP TABLE knight")
        database.execute_sql(declared.replace(*change, 1))

    owner.database.run(work)
