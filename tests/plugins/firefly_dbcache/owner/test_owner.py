import os
import signal
import subprocess
import sys

import gevent
import pytest
from gevent import monkey

from firefly_core.errors import ConfigurationError, Conflict, Overloaded, StorageUnavailable
from tests.promises import lab
from tests.promises.bad_disk import BadDisk
from tests.promises.models import Account, Hero, Purchase

threading_event = monkey.get_original("threading", "Event")

HOLDER = """
from gevent import monkey; monkey.patch_all()
import sys, pathlib, time
from tests.promises import lab
owner = lab.make_owner(pathlib.Path(sys.argv[1]))
owner.start()
print("up", flush=True)
time.sleep(60)
"""


def hold(folder):
    """Start an owner in another process; it is up when this returns."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, env=environment())
    assert process.stdout.readline() == b"up\n"
    return process


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_second_owner_of_the_journal_refuses_to_start_and_names_the_first(tmp_path):
    process = hold(tmp_path)
    try:
        with pytest.raises(ConfigurationError, match=f"owned by process {process.pid}"):
            lab.make_owner(tmp_path).start()
    finally:
        process.kill()
        process.wait()
    with lab.running(tmp_path) as db:
        assert db.create(Hero, name="Ada").id == 1


def test_another_journal_may_not_take_a_database_that_was_not_released(tmp_path):
    owner = lab.make_owner(tmp_path)
    owner.start()
    lab.abandon(owner)
    other = tmp_path / "elsewhere"
    with pytest.raises(ConfigurationError, match=r"belongs to the journal at .*repair --take"):
        lab.make_owner(tmp_path, journal=str(other)).start()
    taker = lab.make_owner(tmp_path, journal=str(other))
    taker.start(by_force=True)
    assert taker.stop()
    with lab.running(tmp_path, journal=str(other)):
        pass


def test_another_journal_may_take_a_database_that_was_released(tmp_path):
    with lab.running(tmp_path) as db:
        db.create(Hero, name="Ada")
    with lab.running(tmp_path, journal=str(tmp_path / "elsewhere")) as db:
        assert db.get(Hero, 1).name == "Ada"


def test_an_owner_that_was_taken_over_writes_nothing_more_and_says_so(tmp_path):
    told = []
    with lab.running(tmp_path, parts={"fatal": told.append}, flush_interval=30.0) as db:
        db.create(Hero, name="Ada")
        taker = lab.make_owner(tmp_path, journal=str(tmp_path / "elsewhere"))
        taker.start(by_force=True)
        db.create(Hero, name="late")
        db.owner.flusher._wake.set()
        lab.wait_until(lambda: told)
        assert "owned by epoch 2" in str(told[0])
        with pytest.raises(Overloaded):
            db.create(Hero, name="later")
        with pytest.raises(Exception, match="owned by epoch 2"):
            db.owner.storage.flush(list(db.owner.overlay.changes()), 0.0)
        rows = taker.database.run(lambda database: database.execute_sql("SELECT COUNT(*) FROM hero").fetchone())
        assert rows == (0,)
        assert taker.stop()


@pytest.mark.parametrize(
    ("part", "method"), [("storage", "flush"), ("journal", "trim"), ("sync", "sync"), ("graveyard", "obey")]
)
def test_a_bug_in_the_background_ends_the_owner_loudly(tmp_path, monkeypatch, part, method):
    told = []

    def bug(*_):
        raise RuntimeError("a bug")

    with lab.running(tmp_path, parts={"fatal": told.append}, segment=4096) as db:
        monkeypatch.setattr(getattr(db.owner, part), method, bug)
        for number in range(100):
            db.create(Hero, name=f"hero {number} of some name")
        lab.wait_until(lambda: told)
        assert str(told[0]) == "a bug"
        with pytest.raises(Overloaded, match="a bug"):
            db.create(Hero, name="later")
        monkeypatch.undo()


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        lab.make_owner(tmp_path).start()


def test_stopping_flushes_everything(tmp_path):
    with lab.running(tmp_path, flush_interval=30.0) as db:
        for number in range(1200):
            db.create(Hero, name=f"h{number}")
        owner = db.owner
        assert owner.stop()
        assert len(owner.overlay) == 0
    with lab.running(tmp_path) as db:
        assert db.owner.recovered == 0


def test_a_stop_without_the_database_leaves_the_changes_in_the_journal(tmp_path, monkeypatch):
    owner = lab.make_owner(tmp_path)
    owner.start()
    db = lab.OwnedHandle(owner)

    def away(*_):
        raise StorageUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(owner.storage.database, "transaction", away)
        db.create(Hero, name="Ada")
        assert not owner.stop(timeout=0.2)
    with lab.running(tmp_path) as db:
        assert db.get(Hero, 1).name == "Ada"


def test_changes_are_refused_while_the_oldest_waits_too_long(tmp_path):
    with lab.running(tmp_path, flush_interval=60.0, max_age=1.0) as db:
        db.create(Hero, name="Ada")
        lab.wait_until(lambda: db.owner.writer.refusing)
        with pytest.raises(Overloaded, match="too long"):
            db.add(Hero, 1, gold=1)
        assert db.get(Hero, 1).gold == 0
        assert db.owner.flusher.flush(5)
        db.owner.upkeep.hurry()
        lab.wait_until(lambda: db.owner.writer.refusing is None)
        assert db.add(Hero, 1, gold=1).gold == 1


def test_fsync_shows_nothing_before_the_disk_has_it(tmp_path):
    disk = BadDisk()
    with lab.running(tmp_path, parts={"disk": disk}) as db:
        db.create(Account, login="ada", coins=1)
        on_disk = threading_event()
        disk.before_sync = lambda: on_disk.wait(10)
        saving = gevent.spawn(db.add, Account, "ada", coins=5)
        gevent.sleep(0.05)
        assert not saving.ready()
        assert db.get(Account, "ada").coins == 1
        on_disk.set()
        assert saving.get(timeout=5).coins == 6
        assert db.get(Account, "ada").coins == 6


def test_many_who_wait_for_the_disk_share_one_sync(tmp_path):
    disk = BadDisk()
    with lab.running(tmp_path, parts={"disk": disk}, sync_interval=30.0) as db:
        logins = [f"player{number}" for number in range(200)]
        gevent.joinall(
            [gevent.spawn(db.create, Account, login=login) for login in logins], timeout=10, raise_error=True
        )
        before = disk.calls.count("sync")
        adding = [gevent.spawn(db.add, Account, login, coins=1) for login in logins]
        gevent.joinall(adding, timeout=10, raise_error=True)
        assert disk.calls.count("sync") - before <= 3


def test_commits_of_one_row_wait_for_each_other(tmp_path):
    with lab.running(tmp_path) as db:
        db.create(Account, login="ada")
        adding = [gevent.spawn(db.add, Account, "ada", coins=1) for _ in range(50)]
        gevent.joinall(adding, timeout=20, raise_error=True)
        assert db.get(Account, "ada").coins == 50


def test_a_caller_that_is_killed_while_it_waits_leaves_the_row_usable(tmp_path):
    with lab.running(tmp_path) as db:
        db.create(Account, login="ada")
        saving = gevent.spawn(db.add, Account, "ada", coins=1)
        gevent.sleep(0)
        saving.kill()
        db.add(Account, "ada", coins=10)
        assert db.get(Account, "ada").coins in (10, 11)
        purchase = db.create(Purchase)
        through = gevent.spawn(db.add, Purchase, purchase.id, coins=1)
        gevent.sleep(0)
        through.kill()
        db.add(Purchase, purchase.id, coins=10)
        assert db.get(Purchase, purchase.id).coins in (10, 11)


def test_a_row_that_is_too_large_is_refused_before_the_journal(tmp_path):
    from tests.promises.models import Everything

    with lab.running(tmp_path) as db:
        db.create(Everything, long="x" * 1_000_000)
        before = db.owner.journal.bytes
        with pytest.raises(ValueError, match="more than 1048576"):
            db.create(Everything, long="x" * 1_100_000)
        with pytest.raises(ValueError, match="more than"):
            db.create(Everything, blob=b"x" * 17_000_000)
        assert db.owner.journal.bytes == before
        assert db.owner.stop()


def test_a_killed_owner_loses_nothing_that_it_acknowledged(tmp_path):
    child = """
from gevent import monkey; monkey.patch_all()
import sys, pathlib
from tests.promises import lab
from tests.promises.models import Hero
owner = lab.make_owner(pathlib.Path(sys.argv[1]))
owner.start()
db = lab.OwnedHandle(owner)
hero = db.create(Hero, name="Ada")
while True:
    hero.gold += 1
    db.save(hero)
    sys.stdout.write(f"{hero.gold}\\n")
    sys.stdout.flush()
"""
    process = subprocess.Popen([sys.executable, "-c", child, str(tmp_path)], stdout=subprocess.PIPE, env=environment())
    told = b"".join(process.stdout.readline() for _ in range(300))
    os.kill(process.pid, signal.SIGKILL)
    told += process.stdout.read()
    acknowledged = int(told[: told.rindex(b"\n")].split()[-1])
    process.wait()
    with lab.running(tmp_path) as db:
        assert db.get(Hero, 1).gold - acknowledged in (0, 1)


def test_an_owner_that_did_not_start_can_be_stopped(tmp_path):
    (tmp_path / "game.db").mkdir()
    owner = lab.make_owner(tmp_path, start_timeout=0.1)
    with pytest.raises(StorageUnavailable):
        owner.start()
    assert owner.stop()
    assert owner.stop()
    never = lab.make_owner(tmp_path)
    assert never.stop()


def test_a_conflict_is_counted_and_add_makes_none(db):
    hero = db.create(Hero, name="Ada")
    db.add(Hero, 1, gold=1)
    with pytest.raises(Conflict):
        db.save(hero)
    assert db.owner.writer.conflicts == 1
