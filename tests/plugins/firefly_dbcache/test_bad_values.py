"""Values that were made to hurt a database or a cache, by their numbers in the list of bad inputs, on every kind."""

import pytest
from firefly_dbcache.local_store import LocalStore
from firefly_dbcache.remote_methods import PREFIX, RemoteMethods

from firefly_core.errors import Conflict, NotFound
from tests.promises import lab
from tests.promises.models import Account, Everything, Hero, Tale

SQL = ["' OR 1=1 -- ", '"; DROP TABLE account; --']
LONG = 1_100_000
"""Bytes of a row that no memcached takes: its limit is 1 MiB."""
HUGE = 17_000_000
"""Bytes of a row beyond MariaDB's usual packet of 16 MiB."""


@pytest.fixture
def stored(tmp_path, database):
    """Give a handle on each kind of database, with an untouched row in it that must be there at the end."""
    with lab.running(tmp_path, database=database) as db:
        db.create(Account, login="untouched", email="me@here", coins=7)
        yield db
        assert db.owner.flusher.flush(5)
        assert db.owner.flusher.suspects == 0
        count = db.owner.database.run(lambda each: each.execute_sql("SELECT COUNT(*), SUM(coins) FROM account"))
        assert [int(number) for number in count.fetchone()] == [1, 7]


@pytest.mark.parametrize("text", SQL)
def test_96_97_sql_as_a_value_and_as_a_key_is_a_text(stored, text):
    db = stored
    db.create(Account, login=text, email=text)
    assert db.owner.flusher.flush(5)
    db.owner.memory.clear()
    assert db.get(Account, text).email == text
    assert [row.login for row in db.where(Account, email=text)] == [text]
    assert [row.login for row in db.many(Account, [text, "untouched"])] == [text, "untouched"]
    db.delete(db.get(Account, text))


@pytest.mark.parametrize("text", SQL)
def test_96_97_sql_as_a_column_is_a_name_that_there_is_not(stored, text):
    db = stored
    for ask in (
        lambda: db.where(Account, **{text: 1}),
        lambda: db.where(Account, **{"email": "me@here", text: 1}),
        lambda: db.create(Account, login="new", **{text: 1}),
        lambda: db.add(Account, "untouched", **{text: 1}),
    ):
        with pytest.raises(TypeError, match="no column"):
            ask()


@pytest.mark.parametrize("text", SQL)
def test_96_97_sql_from_another_server_as_table_key_and_column_is_refused(db, text):
    db.create(Account, login="untouched", coins=7)
    owner = db.owner
    methods = RemoteMethods(LocalStore(owner), list(owner.tables.values())).methods()
    account, hero = owner.tables["account"], owner.tables["hero"]
    assert methods[PREFIX + "get"](None, text, account.shape, "untouched")["error"][0] == "TypeError"
    assert methods[PREFIX + "get"](None, "account", text, "untouched")["error"][0] == "TypeError"
    assert methods[PREFIX + "get"](None, "account", account.shape, text) is None
    assert methods[PREFIX + "get"](None, "hero", hero.shape, text)["error"][0] == "TypeError"
    assert methods[PREFIX + "find"](None, "account", account.shape, {text: 1})[0] == "TypeError"
    assert methods[PREFIX + "add"](None, "account", account.shape, "untouched", {text: 1})[0] == "TypeError"
    assert methods[PREFIX + "save"](None, "account", account.shape, ["untouched", text, "x", 1])[0] in ERRORS
    assert db.get(Account, "untouched").coins == 7


ERRORS = ("TypeError", "ValueError")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_99_integers_beyond_the_column_are_refused_and_leave_the_row(stored, number):
    db = stored
    for ask in (
        lambda: db.create(Account, login="new", coins=number),
        lambda: db.add(Account, "untouched", coins=number),
        lambda: db.where(Everything, friend=number),
        lambda: db.get(Hero, number),
    ):
        with pytest.raises(ValueError, match=r"hero|account|Account|Everything|everything"):
            ask()


@pytest.mark.parametrize("values", [{"big": 2**63 - 1}, {"big": -(2**63)}, {"double": 1e308}, {"double": -5e-324}])
def test_99_the_outermost_numbers_come_back(stored, values):
    db = stored
    made = db.create(Everything, **values)
    assert db.owner.flusher.flush(5)
    db.owner.memory.clear()
    ((name, value),) = values.items()
    assert getattr(db.get(Everything, made.id), name) == value


def test_100_a_row_beyond_the_limit_is_refused_before_anything_is_stored(db):
    before = db.owner.journal.bytes
    with pytest.raises(ValueError, match="bytes"):
        db.create(Everything, long="x" * LONG)
    assert db.owner.journal.bytes == before


def test_100_a_row_too_long_for_memcached_is_kept_without_it(tmp_path, memcached):
    with lab.running(tmp_path, [Tale], cache=memcached.url, max_row=2_000_000) as db:
        db.create(Tale, text="short")
        made = db.create(Tale, text="x" * LONG)
        assert db.owner.flusher.flush(5)
        lab.wait_until(lambda: not db.owner.second.shards[0].pending)
        db.owner.memory.clear()
        assert db.get(Tale, made.id).text == "x" * LONG
        assert db.get(Tale, 1).text == "short"
        assert db.owner.second.hits == 1
        assert db.owner.second.shards[0].failures == 0


@pytest.fixture
def small_packets(mariadb):
    """MariaDB with packets of 64 KiB."""
    mariadb.sql("SET GLOBAL max_allowed_packet = 65536")
    yield mariadb
    mariadb.sql("SET GLOBAL max_allowed_packet = 16777216")


@pytest.mark.parametrize(("server", "size"), [("mariadb", HUGE), ("small_packets", 70_000)])
def test_100_a_row_too_long_for_the_servers_packet_blocks_only_itself(request, tmp_path, server, size):
    keys = {"database": request.getfixturevalue(server).fresh("game"), "max_row": 2 * HUGE, "flush_interval": 0.1}
    with lab.running(tmp_path, [Tale, Hero], **keys) as db:
        db.create(Tale, text="x" * size)
        for number in range(2000):
            db.create(Hero, name=f"a hero of some name, number {number}")
        lab.wait_until(lambda: len(db.owner.letters.letters) == 1)
        (letter,) = db.owner.letters.letters.values()
        assert "max_allowed_packet" in letter.error
        lab.wait_until(lambda: not len(db.owner.overlay))
        count = db.owner.database.run(lambda each: each.execute_sql("SELECT COUNT(*) FROM hero").fetchone())
        assert count == (2000,)
        assert len(db.get(Tale, 1).text) == size


def test_102_an_unknown_column_is_refused_wherever_it_can_be_named(stored):
    db = stored
    for ask in (
        lambda: db.create(Account, login="new", admin=True),
        lambda: db.where(Account, email="me@here", admin=True),
        lambda: db.add(Account, "untouched", admin=1),
        lambda: db.transact(lambda unit: unit.create(Account, login="new", admin=True)),
        lambda: db.transact(lambda unit: unit.add(Account, "untouched", admin=1)),
    ):
        with pytest.raises(TypeError, match="admin"):
            ask()


def test_103_a_stale_version_and_a_missing_row_are_errors_and_never_a_silent_none(stored):
    db = stored
    stale, gone = db.create(Hero, name="Ada"), db.create(Hero, name="Tom")
    db.add(Hero, stale.id, gold=1)
    db.delete(db.get(Hero, gone.id))
    for row in (stale, gone):
        row.gold = 99
        with pytest.raises(Conflict):
            db.save(row)
        with pytest.raises(Conflict):
            db.delete(row)
    with pytest.raises(NotFound):
        db.add(Hero, gone.id, gold=1)
    with pytest.raises(NotFound):
        db.update(Hero, gone.id, lambda hero: setattr(hero, "gold", 99))
    assert db.get(Hero, stale.id).gold == 1
    assert db.many(Hero, [gone.id]) == []
