"""Reading and writing the three kinds of databases: what is stored comes back, and nothing older ever wins."""

import datetime
import decimal
import math
import random
import uuid

import pytest
from firefly_dbcache.database.database import Refused
from firefly_dbcache.rows.overlay import Change

from firefly_core.errors import Conflict
from tests.promises import lab
from tests.promises.models import Account, Everything, Hero, Item

VALUES = {
    "small": -(2**15),
    "whole": 2**31 - 1,
    "big": -(2**63),
    "flag": True,
    "real": math.pi,
    "double": 1e308,
    "short": "Äda 🐉",
    "long": "x" * 100_000,
    "blob": bytes(range(256)),
    "price": decimal.Decimal("1234567890123456.7891"),
    "moment": datetime.datetime(2026, 11, 23, 1, 2, 3, 4),
    "day": datetime.date(2026, 11, 23),
    "clock": datetime.time(1, 2, 3, 4),
    "token": uuid.UUID(int=7),
    "bag": {"lanterns": [1, 2.5, None, "Ü"], "big": 2**53 + 1},
}


@pytest.fixture
def owner(tmp_path, database):
    with lab.running(tmp_path, database=database) as db:
        yield db.owner


def change(owner, model, row, ver=None):
    table = next(table for table in owner.tables.values() if table.model is model)
    if isinstance(row, tuple):
        return Change(table, row[0], row, row[1])
    return Change(table, row, None, ver)


def heroes(owner):
    table = owner.tables["hero"]
    return {row[0]: row for row in owner.storage.scan(table, None, 1000).values()}


def test_every_kind_of_column_comes_back_as_it_was(tmp_path, database):
    with lab.running(tmp_path, database=database) as db:
        db.create(Everything, **VALUES)
        db.create(Everything, friend=1)
        before = db.owner.reader.peek(db.owner.tables["everything"], 1)
    with lab.running(tmp_path, database=database) as db:
        found = db.get(Everything, 1)
        assert db.owner.reader.peek(db.owner.tables["everything"], 1) == before
        assert {name: getattr(found, name) for name in VALUES} == VALUES
        assert [row.id for row in db.where(Everything, friend=1)] == [2]
        db.delete(db.get(Everything, 2))


def test_the_highest_version_wins_in_whatever_order_and_number_batches_come(owner):
    generator = random.Random(7)
    changes = []
    for key in range(1, 9):
        for ver in range(1, 7):
            deleted = generator.random() < 0.3
            changes.append(change(owner, Hero, key if deleted else (key, ver, f"v{ver}", ver, 0), ver))
    newest = {each.key: each for each in sorted(changes, key=lambda each: each.ver)}
    for _ in range(3):
        owner.database.run(lambda db: db.execute_sql("DELETE FROM hero"))
        owner.database.run(lambda db: db.execute_sql("DELETE FROM firefly_tombstone"))
        history = changes * 2
        generator.shuffle(history)
        while history:
            size = generator.randint(1, 12)
            batch = {each.key: each for each in history[:size]}
            owner.storage.flush(list(batch.values()), owner.clock.time())
            owner.storage.flush(list(batch.values()), owner.clock.time())
            history = [*history[size:], *(each for each in history[:size] if batch[each.key] is not each)]
        found = heroes(owner)
        assert {key: row[1] for key, row in found.items()} == {
            key: each.ver for key, each in newest.items() if each.row is not None
        }


def test_a_deleted_row_cannot_come_back_by_an_older_state_but_can_be_made_again(owner):
    owner.storage.flush([change(owner, Hero, (1, 5, "Ada", 0, 0))], 0.0)
    owner.storage.flush([change(owner, Hero, 1, 6)], 0.0)
    owner.storage.flush([change(owner, Hero, (1, 5, "Ada", 0, 0))], 0.0)
    assert heroes(owner) == {}
    owner.storage.flush([change(owner, Hero, (1, 7, "Bob", 0, 0))], 0.0)
    assert heroes(owner) == {1: (1, 7, "Bob", 0, 0)}


def test_tombstones_go_after_their_time(owner):
    owner.storage.flush([change(owner, Hero, 1, 6), change(owner, Hero, 2, 7)], 1000.0)
    owner.storage.flush([change(owner, Hero, 3, 8)], 2000.0)
    assert owner.ledger.purge(1500) == 2
    assert owner.database.run(lambda db: owner.ledger.tombstones(db, "hero", ["1", "2", "3"])) == {"3": 8}


def test_a_refused_row_takes_its_whole_batch_back(owner):
    good, bad = change(owner, Hero, (1, 1, "good", 0, 0)), change(owner, Hero, (2, 1, None, 0, 0))
    with pytest.raises(Refused):
        owner.storage.flush([good, bad], 0.0)
    assert heroes(owner) == {}


def test_parents_are_written_before_children_and_deleted_after_them(tmp_path, database):
    with lab.running(tmp_path, database=database, flush_interval=30.0) as db:
        parent = db.create(Everything)
        for _ in range(3):
            db.create(Everything, friend=parent.id)
        assert db.owner.flusher.flush(5)
        for row in db.where(Everything, friend=parent.id):
            db.delete(row)
        db.delete(parent)
        assert db.owner.flusher.flush(5)
        assert db.owner.flusher.suspects == 0


@pytest.mark.parametrize("text", ["%s", "%(x)s", "?", "\\", "`", "a' 'b"])
def test_values_and_keys_are_never_read_as_sql(tmp_path, database, text):
    with lab.running(tmp_path, database=database) as db:
        db.create(Hero, name="untouched")
        db.create(Account, login=text, email=text, coins=1)
        assert db.owner.flusher.flush(5)
        db.owner.memory.clear()
        assert db.get(Account, text).coins == 1
        assert [row.login for row in db.where(Account, email=text)] == [text]
        db.delete(db.get(Account, text))
        assert db.owner.flusher.flush(5)
        assert db.owner.flusher.suspects == 0
        assert len(heroes(db.owner)) == 1


def test_texts_that_differ_by_case_or_blanks_are_different_keys_and_values(tmp_path, database):
    names = ["ada", "Ada", "ADA", "ada ", "äda"]
    with lab.running(tmp_path, database=database) as db:
        for number, name in enumerate(names):
            db.create(Account, login=name, email=name, coins=number)
    with lab.running(tmp_path, database=database) as db:
        assert [db.get(Account, name).coins for name in names] == list(range(5))
        assert [db.where(Account, email=name)[0].login for name in names] == names
        with pytest.raises(Conflict):
            db.create(Account, login="other", email="Ada")


def test_flushing_is_fast_enough(tmp_path, database):
    with lab.running(tmp_path, database=database, flush_interval=30.0) as db:
        for number in range(5000):
            db.create(Item, hero=number)
        began = db.owner.clock.monotonic()
        assert db.owner.flusher.flush(30)
        assert 5000 / (db.owner.clock.monotonic() - began) > 2000
