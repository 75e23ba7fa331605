import datetime
import decimal
import uuid

import gevent
import pytest
from firefly_dbcache.owner import turns

from firefly_core.errors import Conflict, NotFound
from tests.promises import lab
from tests.promises.models import Account, Everything, Hero, Item, Mood, Purchase, Score


def test_a_created_row_has_a_key_a_version_and_its_defaults(db):
    hero = db.create(Hero, name="Ada", owner=7)
    assert hero.id == 1
    assert hero.ver > 0
    assert (hero.name, hero.gold, hero.owner) == ("Ada", 0, 7)


def test_what_get_gives_is_a_private_copy(db):
    db.create(Hero, name="Ada")
    one, other = db.get(Hero, 1), db.get(Hero, 1)
    one.gold = 500
    assert other.gold == db.get(Hero, 1).gold == 0


def test_a_saved_change_is_seen_by_the_next_get(db):
    hero = db.create(Hero, name="Ada")
    hero.gold += 5
    db.save(hero)
    assert db.get(Hero, 1).gold == 5


def test_a_saved_object_can_be_changed_and_saved_again(db):
    hero = db.create(Hero, name="Ada")
    for _ in range(3):
        hero.gold += 1
        db.save(hero)
    assert db.get(Hero, 1).gold == 3


def test_saving_a_row_that_moved_since_it_was_read_conflicts_and_changes_nothing(db):
    db.create(Hero, name="Ada")
    mine, other = db.get(Hero, 1), db.get(Hero, 1)
    other.gold = 3
    db.save(other)
    mine.gold = 100
    with pytest.raises(Conflict, match="hero 1 was read at version"):
        db.save(mine)
    assert db.get(Hero, 1).gold == 3


def test_a_missing_row_is_not_found(db):
    with pytest.raises(NotFound, match="hero 404"):
        db.get(Hero, 404)


def test_add_needs_no_reading_and_never_conflicts(db):
    db.create(Hero, name="Ada", gold=10)
    stale = db.get(Hero, 1)
    assert db.add(Hero, 1, gold=5).gold == 15
    assert db.add(Hero, 1, gold=-20).gold == -5
    with pytest.raises(Conflict):
        db.save(stale)


def test_add_out_of_the_columns_range_is_refused_before_anything_is_stored(db):
    db.create(Hero, name="Ada", gold=2**31 - 1)
    with pytest.raises(ValueError, match=r"hero\.gold"):
        db.add(Hero, 1, gold=1)
    assert db.get(Hero, 1).gold == 2**31 - 1


@pytest.mark.parametrize("amounts", [{}, {"name": 1}, {"ver": 1}, {"id": 1}, {"admin": 1}])
def test_add_takes_only_number_columns(db, amounts):
    db.create(Hero, name="Ada")
    with pytest.raises(TypeError):
        db.add(Hero, 1, **amounts)


def test_update_runs_again_when_the_row_moved_meanwhile(db):
    db.create(Hero, name="Ada")
    seen = []

    def change(hero):
        seen.append(hero.gold)
        if len(seen) < 3:
            db.add(Hero, 1, gold=10)
        hero.gold += 1

    assert db.update(Hero, 1, change).gold == 21
    assert seen == [0, 10, 20]


def test_update_gives_up_after_sixteen_tries(db, monkeypatch):
    monkeypatch.setattr(turns, "LEASE", 0.01)  # its own `add` waits for the turn that the update has
    db.create(Hero, name="Ada")
    tries = []

    def change(hero):
        tries.append(1)
        db.add(Hero, 1, gold=1)
        hero.gold = -1

    with pytest.raises(Conflict):
        db.update(Hero, 1, change)
    assert len(tries) == 16
    assert db.get(Hero, 1).gold == 16


def test_an_update_that_changes_nothing_stores_nothing(db):
    before = db.create(Hero, name="Ada").ver
    assert db.update(Hero, 1, lambda hero: None).ver == before


def test_what_an_update_raises_leaves_the_row_alone(db):
    db.create(Hero, name="Ada")

    def change(hero):
        hero.gold = 5
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        db.update(Hero, 1, change)
    assert db.get(Hero, 1).gold == 0


def test_a_deleted_row_is_gone_and_its_key_is_not_given_again(db):
    hero = db.create(Hero, name="Ada")
    db.delete(hero)
    with pytest.raises(NotFound):
        db.get(Hero, 1)
    assert db.create(Hero, name="Bob").id == 2


def test_a_row_that_moved_is_not_deleted(db):
    hero = db.create(Hero, name="Ada")
    db.add(Hero, 1, gold=1)
    with pytest.raises(Conflict):
        db.delete(hero)
    assert db.get(Hero, 1).gold == 1


def test_a_deleted_row_can_be_made_again_and_is_a_new_one(db):
    account = db.create(Account, login="ada", coins=5)
    db.delete(account)
    again = db.create(Account, login="ada")
    assert again.coins == 0
    assert again.ver > account.ver
    with pytest.raises(Conflict):
        db.save(Account(login="ada", coins=9))


def test_creating_a_key_that_exists_conflicts(db):
    db.create(Account, login="ada")
    with pytest.raises(Conflict, match="exists already"):
        db.create(Account, login="ada")


def test_where_gives_the_rows_of_an_index_by_key_and_follows_every_change(db):
    for owner in (7, 8, 7):
        db.create(Hero, name="x", owner=owner)
    assert [hero.id for hero in db.where(Hero, owner=7)] == [1, 3]
    db.create(Hero, name="y", owner=7)
    moved = db.get(Hero, 1)
    moved.owner = 8
    db.save(moved)
    db.delete(db.get(Hero, 3))
    assert [hero.id for hero in db.where(Hero, owner=7)] == [4]
    assert [hero.id for hero in db.where(Hero, owner=8)] == [1, 2]


def test_where_narrows_by_columns_without_an_index(db):
    db.create(Hero, name="Ada", owner=7, gold=1)
    db.create(Hero, name="Bob", owner=7, gold=2)
    assert [hero.name for hero in db.where(Hero, owner=7, gold=2)] == ["Bob"]


@pytest.mark.parametrize("conditions", [{}, {"gold": 1}, {"admin": True}])
def test_where_needs_an_index_and_known_columns(db, conditions):
    with pytest.raises(TypeError):
        db.where(Hero, **conditions)


def test_many_gives_those_that_exist_in_the_order_asked_for(db):
    for name in "abc":
        db.create(Hero, name=name)
    assert [hero.name for hero in db.many(Hero, [3, 404, 1, 3])] == ["c", "a", "c"]


def test_a_unit_stores_all_its_rows(db):
    db.create(Hero, name="Ada", gold=10)
    db.create(Hero, name="Bob")
    db.create(Item, hero=1)

    def trade(unit):
        unit.add(Hero, 1, gold=-4)
        bob = unit.get(Hero, 2)
        bob.gold += 4
        unit.save(bob)
        item = unit.get(Item, 1)
        item.hero = 2
        unit.save(item)
        return unit.get(Hero, 1).gold

    assert db.transact(trade) == 6
    assert [hero.gold for hero in db.many(Hero, [1, 2])] == [6, 4]
    assert [item.id for item in db.where(Item, hero=2)] == [1]


def test_a_unit_that_raises_stores_nothing(db):
    db.create(Hero, name="Ada", gold=10)

    def trade(unit):
        unit.add(Hero, 1, gold=-4)
        unit.create(Item, hero=1)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        db.transact(trade)
    assert db.get(Hero, 1).gold == 10
    assert db.where(Item, hero=1) == []


def test_a_unit_runs_again_when_a_row_that_it_only_read_has_moved(db):
    db.create(Hero, name="Ada", gold=10)
    db.create(Hero, name="Bob")
    runs = []

    def work(unit):
        gold = unit.get(Hero, 1).gold
        if not runs:
            db.add(Hero, 1, gold=1)
        runs.append(gold)
        bob = unit.get(Hero, 2)
        bob.gold = gold
        unit.save(bob)

    db.transact(work)
    assert runs == [10, 11]
    assert db.get(Hero, 2).gold == 11


def test_a_unit_makes_and_deletes_rows(db):
    db.create(Hero, name="Ada")

    def work(unit):
        made = unit.create(Item, hero=1)
        unit.delete(unit.get(Hero, 1))
        gone = unit.create(Item, hero=2)
        unit.delete(gone)
        return made.id

    key = db.transact(work)
    assert db.get(Item, key).hero == 1
    assert db.many(Hero, [1]) == []
    assert db.where(Item, hero=2) == []


def test_a_unit_cannot_mix_what_cannot_be_all_or_nothing(db):
    def work(unit):
        unit.create(Hero, name="Ada")
        unit.create(Purchase, coins=1)

    with pytest.raises(TypeError, match=r"hero \(journal\), purchase \(through\)"):
        db.transact(work)


def test_an_ended_unit_is_refused(db):
    db.create(Hero, name="Ada")
    unit = db.transact(lambda unit: unit)
    with pytest.raises(Exception, match="has ended"):
        unit.get(Hero, 1)


@pytest.mark.parametrize(
    ("fields", "error", "named"),
    [
        ({"admin": True}, TypeError, "no column 'admin'"),
        ({"name": None}, ValueError, "Hero.name"),
        ({"name": "x" * 41}, ValueError, "Hero.name"),
        ({"name": "x", "gold": 2**31}, ValueError, "Hero.gold"),
        ({"name": "x", "gold": True}, TypeError, "Hero.gold"),
        ({"name": "x", "gold": 1.0}, TypeError, "Hero.gold"),
        ({"name": "x", "gold": {"$gt": 0}}, TypeError, "Hero.gold"),
        ({"name": ["x"]}, TypeError, "Hero.name"),
        ({"name": "x", "ver": 9}, TypeError, "ver"),
        ({"id": 2**31, "name": "x"}, ValueError, "Hero.id"),
        ({"id": "1; DROP TABLE hero", "name": "x"}, TypeError, "Hero.id"),
    ],
)
def test_what_a_column_does_not_take_is_refused_before_the_journal(db, fields, error, named):
    before = db.owner.journal.bytes
    with pytest.raises(error, match=named):
        db.create(Hero, **fields)
    assert db.owner.journal.bytes == before


@pytest.mark.parametrize("key", ["1", None, 1.0, True, b"1", [1], 2**31, "' OR 1=1 -- "])
def test_what_is_no_key_is_refused(db, key):
    with pytest.raises((TypeError, ValueError)):
        db.get(Hero, key)


@pytest.mark.parametrize("login", ["' OR 1=1 -- ", '"; DROP TABLE account; --', "a b\tc", "ключ", "x" * 100, "%s", "?"])
def test_any_text_is_a_key_and_nothing_more(tmp_path, login):
    with lab.running(tmp_path) as db:
        db.create(Account, login=login, coins=5)
        assert db.where(Account, email=login) == []
    with lab.running(tmp_path) as db:
        assert db.get(Account, login).coins == 5


def test_every_kind_of_column_comes_back_from_journal_and_database(tmp_path):
    values = {
        "small": -(2**15),
        "whole": 2**31 - 1,
        "big": -(2**63),
        "flag": True,
        "real": 0.1,
        "double": 1e308,
        "short": "Äda 🐉",
        "long": "x" * 100_000,
        "blob": bytes(range(256)),
        "price": decimal.Decimal("1234567890123456.7891"),
        "moment": datetime.datetime(2026, 11, 23, 1, 2, 3, 4),
        "day": datetime.date(2026, 11, 23),
        "clock": datetime.time(1, 2, 3, 4),
        "token": uuid.UUID(int=7),
        "bag": {"lanterns": [1, 2.5, None, "Ü"]},
        "friend": None,
    }
    with lab.running(tmp_path) as db:
        db.create(Everything, **values)
        db.create(Everything, friend=1)
        assert db.owner.flusher.flush(5)
        db.owner.memory.clear()
        found = db.get(Everything, 1)
        assert {name: getattr(found, name) for name in values if name != "friend"} == {
            name: value for name, value in values.items() if name != "friend"
        }
        assert db.get(Everything, 2).friend_id == 1
        assert db.where(Everything, friend_id=1)[0].id == 2


def test_a_killed_reader_leaves_the_others_their_answer(db):
    db.create(Hero, name="Ada")
    db.owner.flusher.flush(5)
    db.owner.memory.clear()
    readers = [gevent.spawn(db.get, Hero, 1) for _ in range(5)]
    gevent.sleep(0)
    readers[0].kill()
    assert [reader.get(timeout=5).name for reader in readers[1:]] == ["Ada"] * 4


def test_a_model_in_the_cache_only_lives_without_a_table(db):
    mood = db.create(Mood, hero=7, word="glad")
    mood.word = "calm"
    db.save(mood)
    assert db.get(Mood, 7).word == "calm"
    assert "mood" not in db.owner.database.run(lambda database: database.get_tables())


def test_a_change_through_to_the_database_is_there_when_save_returns(db):
    made = db.create(Purchase, coins=5)
    db.add(Purchase, made.id, coins=2)
    rows = db.owner.database.run(lambda database: database.execute_sql("SELECT coins FROM purchase").fetchall())
    assert rows == [(7,)]
    assert db.owner.journal.last == 0


def test_an_async_change_reaches_the_database_but_not_the_journal(db):
    made = db.create(Score, points=5)
    assert db.owner.journal.last == 0
    assert db.owner.flusher.flush(5)
    rows = db.owner.database.run(lambda database: database.execute_sql("SELECT points FROM score").fetchall())
    assert rows == [(5,)]
    assert made.id == 1


def test_what_is_no_cached_model_is_refused(db):
    class Stranger:
        pass

    for call in (lambda: db.get(Stranger, 1), lambda: db.save(Stranger()), lambda: db.where(Stranger, a=1)):
        with pytest.raises(TypeError, match="models"):
            call()


def test_preload_reads_a_whole_table_into_memory(tmp_path):
    with lab.running(tmp_path) as db:
        for number in range(2500):
            db.create(Hero, name=f"h{number}")
    with lab.running(tmp_path) as db:
        assert db.preload(Hero) == 2500
        reads = db.owner.reader.database_reads
        assert db.get(Hero, 2500).name == "h2499"
        assert db.owner.reader.database_reads == reads
