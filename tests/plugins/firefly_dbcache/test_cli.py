"""`firefly-run db`: what an operator sees and does, while the owner runs, after a crash, with damage in the journal."""

import gevent
import pytest
from click.testing import CliRunner
from firefly_dbcache.cli import db as command

from firefly_core.cli.invocation import Invocation
from tests.promises import lab
from tests.promises.models import Hero

FILE = """
[firefly]
name = "test"
plugins = ["root", "db-cache"]
[servers.db.root]
listen = "tcp://127.0.0.1:10101"
[servers.db.db-cache]
database = "sqlite:///game.db"
journal = "journal"
models = ["tests.promises.models"]
slack = 65536
"""


@pytest.fixture
def run(tmp_path):
    """Run `firefly-run db ...` on the folder's firefly.toml; gives exit status and output."""
    path = tmp_path / "firefly.toml"
    path.write_text(FILE)

    def call(*arguments):
        done = CliRunner().invoke(command, arguments, obj=Invocation(path))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    return call


def crashed(folder, work):
    owner = lab.make_owner(folder, flush_interval=60.0)
    owner.start()
    gevent.sleep(0)
    work(lab.OwnedHandle(owner))
    lab.abandon(owner)


def heroes(db):
    for number in range(20):
        db.create(Hero, name=f"h{number}")


def test_status_of_a_folder_where_nothing_ever_ran(run):
    code, told = run("status")
    assert code == 0
    assert "not there yet" in told
    assert "database: never owned" in told
    assert "missing table: hero" in told


def test_status_beside_a_running_owner_names_its_process(run, tmp_path):
    with lab.running(tmp_path) as db:
        db.create(Hero, name="Ada")
        code, told = run("status")
        assert code == 0
        assert "held by process" in told
        assert "database: epoch 1" in told
        assert db.add(Hero, 1, gold=1).gold == 1
    code, told = run("status")
    assert "nobody holds it" in told
    assert "released" in told


def test_flush_writes_what_a_crashed_owner_left(run, tmp_path):
    crashed(tmp_path, heroes)
    assert "records not known to be flushed: 20" in run("status")[1]
    code, told = run("flush")
    assert (code, "replayed 20 records, flushed 20 rows" in told) == (0, True)
    assert "records not known to be flushed: 0" in run("status")[1]


def test_flush_beside_a_running_owner_is_refused(run, tmp_path):
    with lab.running(tmp_path):
        code, told = run("flush")
    assert code == 78
    assert "which runs" in told


def test_repair_goes_on_behind_damage_and_keeps_the_damaged_segments(run, tmp_path):
    crashed(tmp_path, heroes)
    (path,) = (tmp_path / "journal").glob("*.segment")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    code, told = run("flush")
    assert code == 78
    assert "db repair" in told
    assert "DAMAGED" in run("status")[1]
    code, told = run("repair", "--yes")
    assert code == 0
    assert "flushed 19 rows" in told
    assert (tmp_path / "journal" / "damaged" / path.name).read_bytes() == bytes(data)
    assert run("flush")[0] == 0


def test_repair_can_take_a_database_from_a_lost_journal(run, tmp_path):
    crashed(tmp_path, heroes)
    (tmp_path / "journal").rename(tmp_path / "lost")
    code, told = run("flush")
    assert code == 78
    assert "repair --take" in told
    assert run("repair", "--take", "--yes")[0] == 0
    assert run("flush")[0] == 0


def test_dead_letters_are_listed_retried_and_dropped(run, tmp_path):
    with lab.running(tmp_path) as db:
        for key in (1, 2):
            db.owner.writer.save(db.owner.tables["hero"], (key, 0, None, 0, 0))
        lab.wait_until(lambda: len(db.owner.letters.letters) == 2)
        code, told = run("dead")
        assert code == 0
        first, second = (line.split("\t") for line in told.splitlines())
        assert (first[1], "NOT NULL" in first[2]) == ("hero 1", True)
        assert run("dead", "drop", second[0], "--yes")[0] == 0
        lab.wait_until(lambda: len(db.owner.letters.letters) == 1)
        before = db.owner.flusher.suspects
        assert run("dead", "retry", "--all")[0] == 0
        lab.wait_until(lambda: db.owner.flusher.suspects > before or not db.owner.overlay.buried)
        lab.wait_until(lambda: db.owner.overlay.buried)
        assert list(db.owner.letters.letters) == [first[0]]
        assert run("dead", "retry", "nothing")[0] == 78
        assert run("dead", "retry")[0] == 78


def test_migrate_runs_what_was_not_run_and_makes_what_is_missing(run, tmp_path):
    folder = tmp_path / "migrations"
    folder.mkdir()
    sql = "CREATE TABLE banner (id INTEGER PRIMARY KEY)"
    (folder / "0001_banner.py").write_text(f"def up(migrator, db):\n    db.execute_sql({sql!r})\n")
    code, told = run("migrate", "--folder", str(folder))
    assert code == 0
    assert "migrated: 0001_banner" in told
    assert "created: hero" in told
    code, told = run("migrate", "--folder", str(folder))
    assert (code, told) == (0, "")


def test_migrate_tells_what_still_differs(run, tmp_path):
    run("migrate")
    owner = lab.make_owner(tmp_path)
    owner.database.run(lambda d: d.execute_sql("ALTER TABLE hero ADD COLUMN admin INTEGER"))
    owner.stop()
    code, told = run("migrate")
    assert code == 78
    assert "hero.admin" in told


def test_migrate_beside_a_running_owner_is_refused(run, tmp_path):
    with lab.running(tmp_path):
        assert run("migrate")[0] == 78


def test_an_unknown_server_is_told(run):
    code, told = run("--server", "world", "status")
    assert code == 78
    assert "owners are: db" in told
