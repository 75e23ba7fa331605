import errno
import os
import pathlib
import shutil

import gevent
import peewee
import pytest
from firefly_dbcache.journal.disk import Disk
from firefly_dbcache.journal.folder import Folder
from firefly_dbcache.journal.replay import CorruptJournal, Replay
from firefly_dbcache.model import CachedModel

from firefly_core.errors import ConfigurationError, Conflict, NotFound, Overloaded
from tests.promises import lab
from tests.promises.bad_disk import BadDisk
from tests.promises.models import Account, Hero, Item, Score

NEVER = {"flush_interval": 60.0}
"""Nothing reaches the database by itself, so that the journal is all there is."""


def crashed(folder, work, **keys):
    """Run an owner that is left as a killed process leaves it; gives what `work(db)` gave."""
    owner = lab.make_owner(folder, **NEVER, **keys)
    owner.start()
    gevent.sleep(0)
    try:
        return work(lab.OwnedHandle(owner))
    finally:
        lab.abandon(owner)


def heroes(db, count=20):
    for number in range(1, count + 1):
        db.create(Hero, name=f"h{number}", gold=number)


def segments(folder):
    return sorted((folder / "journal").glob("*.segment"))


def flip(path, offset, bit=0):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def test_acknowledged_changes_are_there_after_a_crash(tmp_path):
    def work(db):
        heroes(db)
        db.delete(db.get(Hero, 3))
        hero = db.get(Hero, 4)
        hero.name = "new"
        db.save(hero)
        return hero.ver

    ver = crashed(tmp_path, work)
    with lab.running(tmp_path) as db:
        assert db.owner.recovered == 22
        assert (db.get(Hero, 4).name, db.get(Hero, 4).ver) == ("new", ver)
        with pytest.raises(NotFound):
            db.get(Hero, 3)
        assert db.get(Hero, 20).gold == 20
        assert db.create(Hero, name="next").id == 21


def test_a_clean_stop_leaves_nothing_to_replay(tmp_path):
    with lab.running(tmp_path) as db:
        heroes(db)
    with lab.running(tmp_path) as db:
        assert db.owner.recovered == 0
        assert len(db.many(Hero, range(1, 21))) == 20


def test_replaying_twice_is_replaying_once(tmp_path):
    crashed(tmp_path, heroes)
    crashed(tmp_path, lambda db: db.add(Hero, 1, gold=10))
    crashed(tmp_path, lambda db: None)
    with lab.running(tmp_path) as db:
        assert db.get(Hero, 1).gold == 11
        assert [hero.gold for hero in db.many(Hero, range(2, 21))] == list(range(2, 21))


def test_what_was_flushed_is_not_replayed(tmp_path):
    def work(db):
        heroes(db)
        assert db.owner.flusher.flush(5)
        db.add(Hero, 7, gold=1)

    crashed(tmp_path, work)
    with lab.running(tmp_path) as db:
        assert db.owner.recovered == 1
        assert db.get(Hero, 7).gold == 8


def test_a_lost_cursor_only_makes_the_replay_longer(tmp_path):
    def work(db):
        heroes(db)
        assert db.owner.flusher.flush(5)
        db.add(Hero, 7, gold=1)

    crashed(tmp_path, work)
    (tmp_path / "journal" / "cursor").unlink()
    with lab.running(tmp_path) as db:
        assert db.owner.recovered == 21
        assert db.get(Hero, 7).gold == 8


def test_segments_behind_the_cursor_that_were_not_removed_in_time_are_passed_over(tmp_path):
    crashed(tmp_path, lambda db: heroes(db, 500), segment=4096)
    folder = Folder(tmp_path / "journal", Disk())
    folder.write_cursor(499)
    folder.release()
    assert len(segments(tmp_path)) > 2
    replay = Replay(tmp_path / "journal", folder.read_cursor())
    assert [sequence for _, sequence, _ in replay.records()] == [500]
    assert replay.last == 500


class CursorKeeper(Disk):
    """Remembers what a power cut would leave of the cursor: its bytes at the last sync."""

    def __init__(self):
        self.kept = b""

    def sync(self, descriptors):
        for descriptor in descriptors:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            if path.endswith("/cursor"):
                self.kept = pathlib.Path(path).read_bytes()
        super().sync(descriptors)


def test_segments_go_only_when_a_power_cut_cannot_take_the_cursor_back(tmp_path):
    disk = CursorKeeper()

    def work(db):
        heroes(db, 300)
        for _ in range(3):
            for key in range(1, 301):
                db.add(Hero, key, gold=1)
            assert db.owner.flusher.flush(5)
            db.add(Hero, 1, gold=100)
            lab.wait_until(lambda: len(segments(tmp_path)) == 1)

    crashed(tmp_path, work, segment=4096, parts={"disk": disk})
    (tmp_path / "journal" / "cursor").write_bytes(disk.kept)
    with lab.running(tmp_path) as db:
        assert [hero.gold for hero in db.many(Hero, range(1, 301))] == [304, *range(5, 304)]


def test_a_cursor_that_is_ahead_of_the_journal_ends_in_a_new_segment(tmp_path):
    crashed(tmp_path, lambda db: heroes(db, 20))
    folder = Folder(tmp_path / "journal", Disk())
    folder.write_cursor(30)
    folder.release()
    crashed(tmp_path, lambda db: db.create(Hero, name="after"))
    with lab.running(tmp_path) as db:
        assert db.owner.recovered == 1
        lab.wait_until(lambda: len(segments(tmp_path)) == 1)


def test_versions_go_on_above_all_that_were_ever_given(tmp_path):
    ver = crashed(tmp_path, lambda db: db.create(Score, points=1).ver)
    with lab.running(tmp_path) as db:
        assert db.create(Hero, name="x").ver > ver
        with pytest.raises(Conflict):
            db.save(Score(id=1, points=2, ver=ver))


@pytest.mark.parametrize("cut", [1, 3, 15, 25])
def test_a_torn_tail_is_cut_off_and_told(tmp_path, cut, caplog):
    crashed(tmp_path, heroes)
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    with lab.running(tmp_path) as db:
        assert db.owner.torn == 1
        assert "journal_torn" in caplog.text
        assert len(db.many(Hero, range(1, 21))) == 19
    with lab.running(tmp_path) as db:
        assert db.owner.torn == 0


def test_a_torn_tail_of_zeros_is_cut_off(tmp_path):
    crashed(tmp_path, heroes)
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes() + bytes(5000))
    with lab.running(tmp_path) as db:
        assert len(db.many(Hero, range(1, 21))) == 20


def test_the_segment_after_a_torn_one_is_read_at_the_next_start(tmp_path):
    crashed(tmp_path, heroes)
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    crashed(tmp_path, lambda db: db.add(Hero, 1, gold=100))
    with lab.running(tmp_path) as db:
        assert db.get(Hero, 1).gold == 101
        assert db.get(Hero, 19).gold == 19


def test_a_flip_before_a_valid_record_refuses_to_start_and_names_the_place(tmp_path):
    crashed(tmp_path, heroes)
    (path,) = segments(tmp_path)
    flip(path, path.stat().st_size // 2)
    with pytest.raises(ConfigurationError, match=rf"{path.name} is damaged at offset \d+.*db repair"):
        lab.make_owner(tmp_path).start()


def test_repair_goes_on_behind_damage_and_lists_it(tmp_path, caplog):
    crashed(tmp_path, heroes)
    (path,) = segments(tmp_path)
    flip(path, path.stat().st_size // 2)
    owner = lab.make_owner(tmp_path)
    owner.start(salvage=True)
    assert "journal_salvaged" in caplog.text
    assert len(lab.OwnedHandle(owner).many(Hero, range(1, 21))) == 19
    assert owner.stop()
    with lab.running(tmp_path) as db:
        assert len(db.many(Hero, range(1, 21))) == 19


def test_damage_in_a_segment_with_another_behind_it_refuses_to_start(tmp_path):
    crashed(tmp_path, lambda db: heroes(db, 500), segment=4096)
    paths = segments(tmp_path)
    assert len(paths) > 2
    path = paths[0]
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ConfigurationError, match="short body, and segment"):
        lab.make_owner(tmp_path).start()


def test_a_missing_segment_refuses_to_start(tmp_path):
    crashed(tmp_path, lambda db: heroes(db, 500), segment=4096)
    segments(tmp_path)[1].unlink()
    with pytest.raises(ConfigurationError, match=r"records \d+ to \d+ are missing"):
        lab.make_owner(tmp_path).start()


def test_a_missing_first_segment_refuses_to_start(tmp_path):
    crashed(tmp_path, lambda db: heroes(db, 500), segment=4096)
    segments(tmp_path)[0].unlink()
    with pytest.raises(ConfigurationError, match="records 1 to"):
        lab.make_owner(tmp_path).start()


def test_every_flipped_byte_of_a_segment_is_loud_or_a_torn_tail(tmp_path):
    crashed(tmp_path, lambda db: heroes(db, 5))
    home = tmp_path / "journal"
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    loud = torn = 0
    expected = [bytes(body) for _, _, body in Replay(home, 0).records()]
    for place in range(len(whole)):
        bent = bytearray(whole)
        bent[place] ^= 1 << (place % 8)
        path.write_bytes(bent)
        try:
            replay = Replay(home, 0)
            found = [bytes(body) for _, _, body in replay.records()]
        except CorruptJournal:
            loud += 1
            continue
        torn += 1
        assert replay.torn, place
        assert found == expected[: len(found)]
        assert len(found) == len(expected) - 1
    assert loud + torn == len(whole)
    assert torn <= len(whole) // 5


def test_a_unit_is_replayed_whole_or_not_at_all(tmp_path):
    def work(db):
        db.create(Hero, name="Ada", gold=100)
        db.create(Hero, name="Bob")
        db.transact(lambda unit: (unit.add(Hero, 1, gold=-40), unit.add(Hero, 2, gold=40), unit.create(Item, hero=2)))

    crashed(tmp_path, work)
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    outcomes = set()
    for cut in range(60):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(tmp_path / "journal", tmp_path / "copy" / "journal")
        shutil.copy(tmp_path / "game.db", tmp_path / "copy" / "game.db")
        (segments(tmp_path / "copy")[0]).write_bytes(whole[: len(whole) - cut])
        if cut % 12 == 0:
            with lab.running(tmp_path / "copy") as db:
                gold = [hero.gold for hero in db.many(Hero, [1, 2])]
                outcomes.add((*gold, len(db.where(Item, hero=2))))
    assert outcomes <= {(60, 40, 1), (100, 0, 0)}
    assert len(outcomes) == 2


def test_rotation_keeps_everything_and_flushing_removes_segments(tmp_path):
    with lab.running(tmp_path, segment=4096, **NEVER) as db:
        heroes(db, 500)
        assert len(segments(tmp_path)) > 3
        assert db.owner.flusher.flush(5)
        lab.wait_until(lambda: len(segments(tmp_path)) == 1)
    with lab.running(tmp_path) as db:
        assert len(db.many(Hero, range(1, 501))) == 500


def test_overwritten_states_are_compacted_away(tmp_path):
    def work(db):
        hero = db.create(Hero, name="Ada")
        for _ in range(2000):
            hero.gold += 1
            db.save(hero)
        db.owner.upkeep.hurry()
        lab.wait_until(lambda: db.owner.journal.bytes < 10_000)
        hero.gold += 1
        db.save(hero)

    crashed(tmp_path, work, segment=4096)
    with lab.running(tmp_path) as db:
        assert db.owner.recovered <= 3
        assert db.get(Hero, 1).gold == 2001


def test_rows_of_a_former_shape_are_read_by_their_columns(tmp_path):
    def knight(extra):
        fields = {"name": peewee.CharField(), **extra}
        return type("Knight", (CachedModel,), {**fields, "Meta": type("Meta", (), {"table_name": "knight"})})

    old, new = knight({}), knight({"gold": peewee.IntegerField(default=3)})
    lacking = knight({"gold": peewee.IntegerField()})
    owner = lab.make_owner(tmp_path, [old], **NEVER)
    owner.start()
    lab.OwnedHandle(owner).create(old, name="Ada")
    owner.database.run(lambda d: d.execute_sql("ALTER TABLE knight ADD COLUMN gold INTEGER NOT NULL DEFAULT 3"))
    lab.abandon(owner)
    with pytest.raises(ConfigurationError, match="the model has gold without a default"):
        lab.make_owner(tmp_path, [lacking]).start()
    with lab.running(tmp_path, [new]) as db:
        assert (db.get(new, 1).name, db.get(new, 1).gold) == ("Ada", 3)


def test_rows_that_no_model_has_refuse_to_start(tmp_path):
    crashed(tmp_path, heroes)
    with pytest.raises(ConfigurationError, match="unflushed rows of hero, which no model has"):
        lab.make_owner(tmp_path, [Item]).start()


def test_an_older_journaled_state_of_an_async_row_does_not_hide_the_newer_one_in_the_database(tmp_path):
    def work(db):
        score = db.create(Score, points=1)
        db.create(Hero, name="pins the cursor")

        def unit(unit):
            unit.add(Score, score.id, points=1)
            unit.create(Hero, name="x")

        db.transact(unit)
        assert db.owner.flusher.flush(5)
        db.add(Score, score.id, points=1)
        assert db.owner.flusher.flush(5)

    crashed(tmp_path, work)
    (tmp_path / "journal" / "cursor").unlink()
    with lab.running(tmp_path) as db:
        assert db.get(Score, 1).points == 3


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_refuses_until_there_is_room_again(tmp_path, number):
    disk = BadDisk()
    with lab.running(tmp_path, parts={"disk": disk}) as db:
        hero = db.create(Hero, name="Ada")
        disk.fail = {"write": number, "reserve": number}
        hero.gold = 5
        with pytest.raises(Overloaded, match="full"):
            db.save(hero)
        with pytest.raises(Overloaded, match="full"):
            db.create(Hero, name="Bob")
        assert db.get(Hero, 1).gold == 0
        disk.fail = {}
        db.owner.upkeep.hurry()
        lab.wait_until(lambda: db.owner.journal.state.name == "OPEN")
        db.save(hero)
    with lab.running(tmp_path) as db:
        assert db.get(Hero, 1).gold == 5


def test_a_record_that_the_disk_took_in_part_is_cut_off(tmp_path):
    disk = BadDisk()

    def work(db):
        heroes(db, 3)
        disk.room = 10
        with pytest.raises(Overloaded):
            db.create(Hero, name="Bob")
        disk.room = None
        db.owner.upkeep.hurry()
        lab.wait_until(lambda: db.owner.journal.state.name == "OPEN")
        return db.create(Hero, name="Cyd").id

    key = crashed(tmp_path, work, parts={"disk": disk})
    with lab.running(tmp_path) as db:
        assert db.owner.torn == 0
        assert db.get(Hero, key).name == "Cyd"


def test_deletions_may_use_the_slack_of_a_full_disk(tmp_path):
    disk = BadDisk()
    with lab.running(tmp_path, parts={"disk": disk}, **NEVER) as db:
        heroes(db, 3)
        disk.fail = {"write": errno.ENOSPC, "reserve": errno.ENOSPC}
        with pytest.raises(Overloaded):
            db.add(Hero, 1, gold=1)
        disk.fail = {"reserve": errno.ENOSPC}
        assert (tmp_path / "journal" / "slack").exists()
        db.delete(db.get(Hero, 1))
        assert not (tmp_path / "journal" / "slack").exists()
        with pytest.raises(Overloaded):
            db.add(Hero, 2, gold=1)


def test_an_error_of_the_disk_ends_the_segment_and_a_checkpoint_begins_anew(tmp_path):
    disk = BadDisk()

    def work(db):
        heroes(db, 5)
        disk.fail = {"write": errno.EIO, "create": errno.EIO}
        with pytest.raises(Overloaded, match="failed"):
            db.add(Hero, 1, gold=100)
        with pytest.raises(Overloaded, match="failed"):
            db.add(Hero, 2, gold=100)
        disk.fail = {}
        db.owner.upkeep.hurry()
        lab.wait_until(lambda: db.owner.journal.state.name == "OPEN")
        db.add(Hero, 3, gold=100)
        assert db.owner.journal.bytes == sum(path.stat().st_size for path in segments(tmp_path))

    crashed(tmp_path, work, parts={"disk": disk})
    with lab.running(tmp_path) as db:
        assert [hero.gold for hero in db.many(Hero, range(1, 6))] == [1, 2, 103, 4, 5]


@pytest.mark.parametrize("adds", [1, 300])
def test_a_checkpoint_that_the_database_has_overtaken_brings_no_older_state_back(tmp_path, adds):
    def work(db):
        owner = db.owner
        heroes(db, 5)
        checkpoint = owner.journal.begin_checkpoint()
        bodies = list(owner.upkeep._bodies(owner.upkeep._rows()))
        for _ in range(adds):
            db.add(Hero, 3, gold=100)
        assert owner.flusher.flush(5)
        if adds > 1:
            lab.wait_until(lambda: len(segments(tmp_path)) == 1)
        db.add(Hero, 4, gold=100)
        checkpoint.write_blocking(owner._disk, bodies)  # and the kill comes before anybody heard of it

    crashed(tmp_path, work, segment=4096)
    with lab.running(tmp_path) as db:
        assert [hero.gold for hero in db.many(Hero, range(1, 6))] == [1, 2, 3 + adds * 100, 104, 5]
        assert db.owner.recovered == 1


def test_nothing_is_acknowledged_after_a_failed_fsync_and_it_is_never_tried_again_on_that_file(tmp_path):
    disk = BadDisk()
    with lab.running(tmp_path, parts={"disk": disk}, sync_interval=30.0) as db:
        db.create(Account, login="ada", coins=1)
        disk.fail = {"sync": errno.EIO}
        with pytest.raises(Overloaded, match="failed"):
            db.add(Account, "ada", coins=1)
        syncs = disk.calls.count("sync")
        with pytest.raises(Overloaded):
            db.add(Account, "ada", coins=1)
        assert db.get(Account, "ada").coins == 1
        disk.fail = {}
        db.owner.upkeep.hurry()
        lab.wait_until(lambda: db.owner.journal.state.name == "OPEN")
        assert disk.calls.count("sync") > syncs
        assert db.add(Account, "ada", coins=5).coins == 6
    with lab.running(tmp_path) as db:
        assert db.get(Account, "ada").coins == 6


def test_a_change_that_was_refused_for_a_failed_fsync_does_not_come_back(tmp_path):
    disk = BadDisk()

    def work(db):
        db.create(Account, login="ada", coins=1)
        disk.fail = {"sync": errno.EIO}
        with pytest.raises(Overloaded):
            db.add(Account, "ada", coins=100)
        disk.fail = {}
        db.owner.upkeep.hurry()
        lab.wait_until(lambda: db.owner.journal.state.name == "OPEN")

    crashed(tmp_path, work, parts={"disk": disk}, sync_interval=30.0)
    with lab.running(tmp_path) as db:
        assert db.get(Account, "ada").coins == 1


def test_the_cap_refuses_and_flushing_lifts_it(tmp_path):
    with lab.running(tmp_path, journal_cap=65536, segment=8192, **NEVER) as db:
        with pytest.raises(Overloaded, match="cap"):
            heroes(db, 5000)
        known = db.owner.journal.last
        assert db.owner.flusher.flush(5)
        lab.wait_until(lambda: db.owner.journal.bytes < 50_000)
        db.create(Hero, name="after")
        assert db.owner.journal.last == known + 1
