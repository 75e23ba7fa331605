"""Tables that differ from the models are refused before the first row is written, each column named."""

import peewee
import pytest
from firefly_dbcache.model import CachedModel

from firefly_core.errors import ConfigurationError, Overloaded
from tests.promises import lab


class Knight(CachedModel):
    name = peewee.CharField(max_length=40, unique=True)
    gold = peewee.BigIntegerField(default=0)
    level = peewee.IntegerField(default=1)
    speed = peewee.DoubleField(default=0.0)
    motto = peewee.TextField(null=True)
    price = peewee.DecimalField(max_digits=20, decimal_places=4, null=True)
    born = peewee.DateTimeField(null=True)


DRIFTS = {
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


def alter(owner, change):
    """Change the table: by SQL, or for SQLite by making it anew from its declaration with a part replaced."""

    def work(database):
        if isinstance(change, str):
            database.execute_sql(change)
            return
        (declared,) = database.execute_sql("SELECT sql FROM sqlite_master WHERE name = 'knight'").fetchone()
        assert change[0] in declared
        database.execute_sql("DROP TABLE knight")
        database.execute_sql(declared.replace(*change, 1))

    owner.database.run(work)


@pytest.mark.parametrize("drift", DRIFTS)
def test_a_drift_is_refused_and_its_column_named(tmp_path, database, drift):
    column, told, changes = DRIFTS[drift]
    with lab.running(tmp_path, [Knight], database=database) as db:
        db.create(Knight, name="Ada", motto="onward")
        kind = db.owner.database.kind
        change = changes.get(kind, changes.get("*"))
        if change is None:  # this kind of database cannot differ in that way
            assert kind != "mysql"
            return
        assert db.owner.flusher.flush(5)
        alter(db.owner, change)
    with pytest.raises(ConfigurationError, match=rf"knight\.{column}: .*{told}"):
        lab.make_owner(tmp_path, [Knight], database=database).start()


def test_tables_that_the_db_cache_made_have_no_differences(tmp_path, database):
    with lab.running(tmp_path, database=database) as db:
        assert db.owner.schema.differences() == []
        assert db.owner.schema.missing() == []


def test_with_read_only_a_drift_is_served_but_not_written(tmp_path):
    with lab.running(tmp_path, [Knight]) as db:
        db.create(Knight, name="Ada")
        assert db.owner.flusher.flush(5)
        alter(db.owner, "ALTER TABLE knight ADD COLUMN admin INTEGER")
    with lab.running(tmp_path, [Knight], schema="read-only") as db:
        assert db.get(Knight, 1).name == "Ada"
        with pytest.raises(Overloaded, match="differ"):
            db.add(Knight, 1, gold=1)


def test_missing_tables_are_not_made_when_that_is_not_wanted(tmp_path):
    with pytest.raises(ConfigurationError, match=r"knight: the table is missing.*db migrate"):
        lab.make_owner(tmp_path, [Knight], create_tables=False).start()
