"""Key lists under every order of changes, loads, flushes and evictions: never older than an acknowledged change."""

import gevent
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firefly_core.errors import StorageError
from tests.promises import lab
from tests.promises.models import Hero, Item

STEP = st.one_of(
    st.tuples(st.just("make"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("move"), st.integers(0, 9), st.integers(0, 2)),
    st.tuples(st.just("delete"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("flush"), st.just(0), st.just(0)),
    st.tuples(st.just("forget rows"), st.just(0), st.just(0)),
    st.tuples(st.just("forget lists"), st.just(0), st.just(0)),
    st.tuples(st.just("look"), st.integers(0, 2), st.just(0)),
)


@given(steps=st.lists(STEP, min_size=3, max_size=25))
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_where_is_what_a_plain_dict_would_say(steps, tmp_path_factory):
    with lab.running(tmp_path_factory.mktemp("lists"), [Item]) as db:
        model = {}
        for what, first, second in steps:
            known = sorted(model)
            if what == "make":
                model[db.create(Item, hero=first).id] = first
            elif what == "move" and known:
                key = known[first % len(known)]
                db.update(Item, key, lambda item, owner=second: setattr(item, "hero", owner))
                model[key] = second
            elif what == "delete" and known:
                key = known[first % len(known)]
                db.delete(db.get(Item, key))
                del model[key]
            elif what == "flush":
                assert db.owner.flusher.flush(5)
            elif what == "forget rows":
                db.owner.memory.clear()
            elif what == "forget lists":
                db.owner.lists.forget(db.owner.tables["item"])
            elif what == "look":
                assert [item.id for item in db.where(Item, hero=first)] == [k for k in known if model[k] == first]
        for owner in range(3):
            assert [item.id for item in db.where(Item, hero=owner)] == [k for k in sorted(model) if model[k] == owner]


def test_a_list_that_is_read_while_rows_change_has_the_changes(tmp_path):
    with lab.running(tmp_path, [Item]) as db:
        for _ in range(20):
            db.create(Item, hero=1)
        assert db.owner.flusher.flush(5)
        db.owner.lists.forget(db.owner.tables["item"])
        looking = gevent.spawn(db.where, Item, hero=1)
        gevent.sleep(0)
        db.delete(db.get(Item, 3))
        db.update(Item, 5, lambda item: setattr(item, "hero", 2))
        made = db.create(Item, hero=1).id
        assert db.owner.flusher.flush(5)
        found = [item.id for item in looking.get(timeout=5)]
        assert found == [key for key in range(1, 22) if key not in (3, 5)]
        assert made == 21
        assert [item.id for item in db.where(Item, hero=1)] == found


def test_many_who_want_a_cold_list_read_it_once(tmp_path):
    with lab.running(tmp_path, [Item]) as db:
        db.create(Item, hero=1)
        assert db.owner.flusher.flush(5)
        db.owner.lists.forget(db.owner.tables["item"])
        before = db.owner.reader.database_reads
        gevent.joinall([gevent.spawn(db.where, Item, hero=1) for _ in range(100)], timeout=5, raise_error=True)
        assert db.owner.reader.database_reads == before + 1


def test_a_list_longer_than_allowed_is_refused_and_not_kept(tmp_path):
    with lab.running(tmp_path, [Item], max_list=10) as db:
        for _ in range(10):
            db.create(Item, hero=1)
        assert len(db.where(Item, hero=1)) == 10
        db.create(Item, hero=1)
        with pytest.raises(StorageError, match="more than 10 rows"):
            db.where(Item, hero=1)
        db.delete(db.get(Item, 1))
        assert len(db.where(Item, hero=1)) == 10


def test_the_lists_not_used_for_longest_go_first(tmp_path):
    with lab.running(tmp_path, [Item], list_keys=20) as db:
        for owner in range(10):
            for _ in range(4):
                db.create(Item, hero=owner)
        for owner in range(10):
            assert len(db.where(Item, hero=owner)) == 4
        assert db.owner.lists.total <= 20
        before = db.owner.reader.database_reads
        db.where(Item, hero=9)
        assert db.owner.reader.database_reads == before
        db.where(Item, hero=0)
        assert db.owner.reader.database_reads == before + 1


def test_a_crowd_of_readers_of_one_cold_row_makes_one_query(tmp_path):
    with lab.running(tmp_path) as db:
        db.create(Hero, name="Ada")
        assert db.owner.flusher.flush(5)
        db.owner.memory.clear()
        before = db.owner.reader.database_reads
        readers = [gevent.spawn(db.get, Hero, 1) for _ in range(500)]
        gevent.joinall(readers, timeout=5, raise_error=True)
        assert db.owner.reader.database_reads == before + 1
