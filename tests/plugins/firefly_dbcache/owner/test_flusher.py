"""Writing behind, while databases refuse rows, die, freeze, fill and are locked."""

import json
import random
import time

import gevent
import peewee
import pytest
from gevent import monkey

from firefly_core.errors import StorageUnavailable
from tests.promises import lab
from tests.promises.bad_disk import BadDisk
from tests.promises.models import Hero, Item, Purse, Title

POISONED = 7
threading_event = monkey.get_original("threading", "Event")


def run(db, sql):
    def work(database):
        cursor = database.execute_sql(sql)
        return list(cursor.fetchall()) if cursor.description else []

    return db.owner.database.run(work)


def poison(db, keys):
    """Make rows that the database will refuse; the checks before the journal are gone around."""
    table = db.owner.tables["hero"]
    for key in keys:
        db.owner.writer.save(table, (key, 0, None, 0, 0))


def stored(db):
    return dict(run(db, "SELECT id, name FROM hero"))


def test_changes_of_one_row_are_written_once(db):
    hero = db.create(Hero, name="Ada")
    for _ in range(50):
        hero.gold += 1
        db.save(hero)
    assert db.owner.flusher.flush(5)
    assert db.owner.flusher.rows <= 3
    assert run(db, "SELECT gold FROM hero") == [(50,)]


def test_a_row_that_is_always_changing_is_flushed_all_the_same(db):
    hero = db.create(Hero, name="Ada")
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        hero.gold += 1
        db.save(hero)
        gevent.sleep(0)
    assert run(db, "SELECT gold FROM hero")[0][0] > 0


def test_poisoned_rows_go_to_the_dead_letters_and_the_others_to_the_database(tmp_path, database):
    with lab.running(tmp_path, database=database) as db:
        for number in range(1, 301):
            if number % 60:
                db.create(Hero, id=number, name=f"h{number}")
            else:
                poison(db, [number])
        lab.wait_until(lambda: len(db.owner.letters.letters) == 5)
        assert {letter.key for letter in db.owner.letters.letters.values()} == {60, 120, 180, 240, 300}
        assert len(stored(db)) == 295
        assert db.owner.flusher.flush(5)
        assert all("null" in letter.error.lower() for letter in db.owner.letters.letters.values())


def test_a_rule_that_only_the_database_knows_refuses_one_row_and_no_other(tmp_path, database):
    with lab.running(tmp_path, [Purse], database=database) as db:
        db.create(Purse, gold=-5)
        db.create(Purse, gold=5)
        lab.wait_until(lambda: db.owner.letters.letters)
        assert run(db, "SELECT gold FROM purse") == [(5,)]
        (letter,) = db.owner.letters.letters.values()
        assert "constraint" in letter.error.lower()


def test_a_text_too_long_for_its_index_refuses_one_row_and_no_other(tmp_path, postgres):
    text = "".join(map(chr, random.Random(1).choices(range(0x4E00, 0x9000), k=9000)))  # the index would compress others
    with lab.running(tmp_path, [Title], database=postgres.fresh("titles")) as db:
        db.create(Title, text=text)
        db.create(Title, text="short")
        lab.wait_until(lambda: db.owner.letters.letters)
        assert run(db, "SELECT text FROM title") == [("short",)]
        assert db.get(Title, 1).text == text


def test_good_rows_do_not_wait_for_the_poisoned_one(db):
    poison(db, [POISONED])
    lab.wait_until(lambda: db.owner.flusher.suspects)
    began = time.monotonic()
    db.create(Hero, id=8, name="good")
    lab.wait_until(lambda: 8 in stored(db))
    assert time.monotonic() - began < 5
    assert POISONED not in stored(db)


def test_a_dead_letter_still_answers_reads_before_and_after_a_restart(tmp_path):
    with lab.running(tmp_path) as db:
        db.create(Hero, id=POISONED, name="good")
        assert db.owner.flusher.flush(5)
        row = db.get(Hero, POISONED)
        db.owner.writer.save(db.owner.tables["hero"], (POISONED, row.ver, None, 99, 0))
        lab.wait_until(lambda: db.owner.letters.letters)
        db.owner.memory.clear()
        assert db.get(Hero, POISONED).gold == 99
    with lab.running(tmp_path) as db:
        assert db.get(Hero, POISONED).gold == 99
        assert stored(db) == {POISONED: "good"}


def test_a_newer_state_of_the_row_replaces_its_dead_letter(db):
    poison(db, [POISONED])
    lab.wait_until(lambda: db.owner.letters.letters)
    hero = db.get(Hero, POISONED)
    hero.name = "cured"
    db.save(hero)
    lab.wait_until(lambda: not db.owner.letters.letters)
    assert stored(db) == {POISONED: "cured"}
    assert db.owner.overlay.buried == {}
    assert not list(db.owner.folder.dead.glob("*.json"))


def test_a_letter_tells_people_what_and_why(db):
    poison(db, [POISONED])
    lab.wait_until(lambda: db.owner.letters.letters)
    (path,) = db.owner.folder.dead.glob("*.json")
    told = json.loads(path.read_text())
    assert (told["table"], told["key"], told["columns"]["gold"]) == ("hero", POISONED, 0)
    assert "NOT NULL" in told["error"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_letter_is_retried_when_the_cause_is_gone(tmp_path, restart):
    with lab.running(tmp_path) as db:
        poison(db, [POISONED])
        lab.wait_until(lambda: db.owner.letters.letters)
        (name,) = db.owner.letters.letters
        run(db, "DROP TABLE hero")
        run(db, "CREATE TABLE hero (id INTEGER NOT NULL PRIMARY KEY, ver BIGINT, name TEXT, gold INT, owner INT)")
        if not restart:
            (db.owner.folder.dead / "asked" / f"{name}.retry").touch()
            lab.wait_until(lambda: stored(db) == {POISONED: None})
            lab.wait_until(lambda: not db.owner.letters.letters)
    if restart:
        (tmp_path / "journal" / "dead" / "asked" / f"{name}.retry").touch()
        with lab.running(tmp_path, schema="read-only") as db:
            lab.wait_until(lambda: stored(db) == {POISONED: None})


def test_a_dropped_letter_gives_the_row_back_to_the_database(db):
    db.create(Hero, id=POISONED, name="good", owner=1)
    assert db.owner.flusher.flush(5)
    ver = db.get(Hero, POISONED).ver
    db.owner.writer.save(db.owner.tables["hero"], (POISONED, ver, None, 99, 2))
    lab.wait_until(lambda: db.owner.letters.letters)
    assert db.where(Hero, owner=1) == []
    (name,) = db.owner.letters.letters
    (db.owner.folder.dead / "asked" / f"{name}.drop").touch()
    lab.wait_until(lambda: not db.owner.letters.letters)
    assert db.get(Hero, POISONED).gold == 0
    assert [hero.id for hero in db.where(Hero, owner=1)] == [POISONED]
    assert [hero.id for hero in db.where(Hero, owner=2)] == []


def test_with_too_many_letters_a_refused_row_stays_in_the_journal(tmp_path):
    with lab.running(tmp_path, dead_letters=1) as db:
        poison(db, [1, 2])
        lab.wait_until(lambda: db.owner.letters.letters)
        lab.wait_until(lambda: db.owner.flusher.failing)
        assert len(db.owner.letters.letters) == 1
        assert db.owner.flusher.suspects == 1
        assert len(db.owner.overlay) == 1
        assert not db.owner.stop(timeout=0.1)


def test_a_locked_database_is_tried_again_and_nothing_goes_to_the_dead_letters(tmp_path):
    with lab.running(tmp_path, timeout=0.1) as db:
        other = peewee.SqliteDatabase(str(tmp_path / "game.db"))
        other.connect()
        other.execute_sql("BEGIN IMMEDIATE")
        db.create(Hero, name="Ada")
        lab.wait_until(lambda: db.owner.flusher.failures > 2)
        assert db.owner.flusher.failing is not None
        other.execute_sql("ROLLBACK")
        other.close()
        lab.wait_until(lambda: stored(db) == {1: "Ada"})
        assert db.owner.letters.letters == {}
        assert db.owner.flusher.failing is None


def server_of(request, kind):
    return request.getfixturevalue({"postgresql": "postgres", "mysql": "mariadb"}[kind])


SERVERS = pytest.mark.parametrize("kind", ["postgresql", "mysql"])


@SERVERS
def test_a_killed_database_loses_nothing_and_the_queue_drains_when_it_is_back(request, tmp_path, kind):
    server = server_of(request, kind)
    with lab.running(tmp_path, [Hero, Item], database=server.fresh("killed"), timeout=1.0) as db:
        for number in range(200):
            db.create(Hero, name=f"h{number}")
        server.kill()
        for number in range(200):
            db.add(Hero, number + 1, gold=number)
        with pytest.raises(StorageUnavailable):
            db.get(Hero, 999)
        lab.wait_until(lambda: db.owner.flusher.failing)
        assert len(db.owner.overlay) >= 200
        server.start()
        lab.wait_until(lambda: not len(db.owner.overlay), 20)
        assert run(db, "SELECT COUNT(*), SUM(gold) FROM hero") == [(200, 19900)]
        assert db.owner.letters.letters == {}


@SERVERS
def test_a_frozen_database_does_not_wedge_the_flusher(request, tmp_path, kind):
    server = server_of(request, kind)
    with lab.running(tmp_path, [Hero, Item], database=server.fresh("frozen"), timeout=1.0) as db:
        db.create(Hero, name="Ada")
        assert db.owner.flusher.flush(5)
        server.freeze()
        db.add(Hero, 1, gold=5)
        began = time.monotonic()
        with pytest.raises(StorageUnavailable, match=r"within 1\.0 s|timed out"):
            db.get(Hero, 999)
        assert time.monotonic() - began < 5
        lab.wait_until(lambda: db.owner.flusher.failing)
        assert db.get(Hero, 1).gold == 5
        server.thaw()
        lab.wait_until(lambda: not len(db.owner.overlay), 20)
        assert run(db, "SELECT gold FROM hero") == [(5,)]


@SERVERS
def test_a_read_only_database_is_tried_again(request, tmp_path, kind):
    server = server_of(request, kind)
    only = {
        "mysql": ("SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0"),
        "postgresql": (
            "ALTER DATABASE readonly SET default_transaction_read_only = on",
            "ALTER DATABASE readonly SET default_transaction_read_only = off",
        ),
    }[kind]
    url = server.fresh("readonly")
    if kind == "mysql":  # the superuser may write all the same
        server.sql("DROP USER IF EXISTS game; CREATE USER game; GRANT ALL ON readonly.* TO game", "")
        url = url.replace("root@", "game@")
    with lab.running(tmp_path, [Hero, Item], database=url, timeout=2.0) as db:
        db.create(Hero, name="Ada")
        assert db.owner.flusher.flush(5)
        server.sql(only[0], "postgres" if kind == "postgresql" else "")
        if kind == "postgresql":  # the setting holds for new connections
            server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'readonly'", "postgres")
        db.add(Hero, 1, gold=5)
        lab.wait_until(lambda: db.owner.flusher.failures > 2)
        server.sql(only[1], "postgres" if kind == "postgresql" else "")
        lab.wait_until(lambda: not len(db.owner.overlay), 20)
        assert run(db, "SELECT gold FROM hero") == [(5,)]
        assert db.owner.letters.letters == {}


@SERVERS
def test_locked_rows_are_tried_again(request, tmp_path, kind):
    server = server_of(request, kind)
    with lab.running(tmp_path, [Hero, Item], database=server.fresh("locked"), timeout=1.0) as db:
        db.create(Hero, name="Ada")
        assert db.owner.flusher.flush(5)
        other = db.owner.database.make()
        other.connect()
        other.execute_sql("BEGIN")
        other.execute_sql("SELECT * FROM hero WHERE id = 1 FOR UPDATE")
        db.add(Hero, 1, gold=5)
        lab.wait_until(lambda: db.owner.flusher.failures)
        other.execute_sql("ROLLBACK")
        other.close()
        lab.wait_until(lambda: not len(db.owner.overlay), 20)
        assert run(db, "SELECT gold FROM hero") == [(5,)]
        assert db.owner.letters.letters == {}


def test_a_database_that_takes_no_more_connections_is_tried_again(tmp_path, postgres):
    with lab.running(tmp_path, [Hero, Item], database=postgres.fresh("crowded"), timeout=2.0) as db:
        db.create(Hero, name="Ada")
        assert db.owner.flusher.flush(5)
        postgres.sql("ALTER DATABASE crowded ALLOW_CONNECTIONS false", "postgres")
        postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'crowded'", "postgres")
        db.add(Hero, 1, gold=5)
        lab.wait_until(lambda: db.owner.flusher.failures > 2)
        postgres.sql("ALTER DATABASE crowded ALLOW_CONNECTIONS true", "postgres")
        lab.wait_until(lambda: not len(db.owner.overlay), 20)
        assert run(db, "SELECT gold FROM hero") == [(5,)]
        assert db.owner.letters.letters == {}


def test_a_full_database_is_told_as_such_and_tried_again(db, caplog):
    run = db.owner.database.run
    run(lambda each: each.execute_sql("PRAGMA max_page_count = 1"))  # it takes no less than there are
    for _ in range(500):
        db.create(Hero, name="a hero with a name that takes some room")
    lab.wait_until(lambda: db.owner.flusher.failures)
    lab.wait_until(lambda: not len(db.owner.overlay))  # the next connection has no such limit
    assert "database or disk is full" in caplog.text
    assert db.owner.letters.letters == {}


def test_the_database_never_has_what_a_power_cut_could_take_from_the_journal(tmp_path):
    disk, light = BadDisk(), threading_event()
    with lab.running(tmp_path, parts={"disk": disk}) as db:
        db.create(Hero, name="Ada")
        assert db.owner.flusher.flush(5)
        disk.before_sync = light.wait
        db.add(Hero, 1, gold=7)
        rounds = db.owner.flusher.batches
        gevent.sleep(0.1)  # ten of the flusher's intervals
        assert db.owner.flusher.batches == rounds
        assert run(db, "SELECT gold FROM hero") == [(0,)]
        light.set()
        lab.wait_until(lambda: run(db, "SELECT gold FROM hero") == [(7,)])
