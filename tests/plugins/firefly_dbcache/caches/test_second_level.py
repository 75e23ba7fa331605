"""The second level: never a stale row, whatever its servers do."""

import random

import gevent
import pytest
from firefly_dbcache.cache import CacheUnavailable
from firefly_dbcache.caches.memory_cache import MemoryCache

from firefly_core.errors import NotFound, StorageUnavailable
from tests.promises import lab
from tests.promises.models import Account, Hero, Mood
from tests.promises.staleness import check_reads

SMALL = {"memory": 65536}
"""So little that rows soon leave the owner's memory."""


class ShakyCache(MemoryCache):
    """A cache in memory whose operations fail when told to; it keeps what it had."""

    made: list = []  # noqa: RUF012  one list a test, see `caches`

    def __init__(self, url, *, timeout):
        super().__init__(url, timeout=timeout)
        self.failing = set()
        self.error = CacheUnavailable
        self.late = False
        type(self).made.append(self)

    def _maybe(self, operation):
        if operation in self.failing:
            raise self.error(operation)

    def get_many(self, keys):
        gevent.sleep(0)
        self._maybe("get_many")
        return super().get_many(keys)

    def set(self, key, value):
        gevent.sleep(0)
        if self.late:  # the server does it, but nobody hears so
            super().set(key, value)
        self._maybe("set")
        super().set(key, value)

    def delete(self, key):
        gevent.sleep(0)
        self._maybe("delete")
        super().delete(key)


@pytest.fixture
def caches():
    kind = type("Kind", (ShakyCache,), {"made": []})
    return {"parts": {"caches": {"memory": kind}}, "cache": "memory://?size=10000000"}, kind.made


def written(db):
    """Everything is in the database and in the second level."""
    assert db.owner.flusher.flush(5)
    lab.wait_until(lambda: not any(shard.pending for shard in db.owner.second.shards))


def test_a_row_that_left_memory_comes_from_the_second_level(tmp_path, caches):
    keys, _ = caches
    with lab.running(tmp_path, **keys) as db:
        db.create(Hero, name="Ada")
        written(db)
        db.owner.memory.clear()
        reads = db.owner.reader.database_reads
        assert db.get(Hero, 1).name == "Ada"
        assert db.owner.second.hits == 1
        assert db.owner.reader.database_reads == reads


def test_after_a_clean_stop_the_second_level_is_still_good(tmp_path, caches):
    keys, made = caches
    with lab.running(tmp_path, **keys) as db:
        db.create(Hero, name="Ada")
        written(db)
    values = made[0]._values
    with lab.running(tmp_path, **keys) as db:
        made[1]._values.update(values)
        assert db.get(Hero, 1).name == "Ada"
        assert db.owner.second.hits == 1


def test_after_a_crash_nothing_of_the_second_level_is_believed(tmp_path, caches):
    keys, made = caches
    owner = lab.make_owner(tmp_path, **keys)
    owner.start()
    db = lab.OwnedHandle(owner)
    db.create(Hero, name="Ada")
    written(db)
    values = dict(made[0]._values)
    lab.abandon(owner)
    with lab.running(tmp_path, **keys) as db:
        made[1]._values.update(values)
        db.owner.memory.clear()
        assert db.get(Hero, 1).name == "Ada"
        assert db.owner.second.hits == 0


def test_the_servers_generation_is_not_believed_by_other_servers(tmp_path, caches):
    keys, made = caches
    with lab.running(tmp_path, **keys) as db:
        db.create(Hero, name="Ada")
        written(db)
    values = dict(made[0]._values)
    with lab.running(tmp_path, **{**keys, "cache": "memory://other:1?size=10000000"}) as db:
        made[1]._values.update(values)
        assert db.get(Hero, 1).name == "Ada"
        assert db.owner.second.hits == 0


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("operation", ["set", "get_many"])
def test_a_server_that_failed_and_comes_back_with_old_values_fools_nobody(tmp_path, caches, operation, late):
    keys, made = caches
    with lab.running(tmp_path, **keys) as db:
        hero = db.create(Hero, name="old")
        written(db)
        made[0].failing = {operation}
        made[0].late = late
        hero.name = "new"
        db.save(hero)
        assert db.owner.flusher.flush(5)
        if operation == "get_many":
            db.owner.memory.clear()
            assert db.get(Hero, 1).name == "new"
        lab.wait_until(lambda: db.owner.second.shards[0].failures or not db.owner.second.shards[0].pending)
        made[0].failing, made[0].late = set(), False
        db.owner.second.shards[0]._down_until = 0.0
        db.owner.memory.clear()
        assert db.get(Hero, 1).name == "new"


@pytest.mark.parametrize("error", [CacheUnavailable, OSError, RuntimeError])
def test_a_dead_server_is_left_alone_for_a_while_however_it_says_so(tmp_path, caches, error):
    keys, made = caches
    with lab.running(tmp_path, **keys) as db:
        for number in range(50):
            db.create(Hero, name=f"h{number}")
        written(db)
        made[0].failing, made[0].error = {"get_many", "set", "delete"}, error
        for number in range(1, 51):
            db.owner.memory.clear()
            assert db.get(Hero, number).name == f"h{number - 1}"
        assert db.owner.second.shards[0].failures <= 5


def test_too_many_waiting_writes_make_the_server_unbelieved_instead_of_growing(tmp_path, caches):
    keys, _ = caches
    with lab.running(tmp_path, **keys) as db:
        shard = db.owner.second.shards[0]
        shard._limit = 20
        before = shard.generation
        for number in range(100):
            shard.put(f"k{number}", b"x")
        assert shard.generation != before
        assert len(shard.pending) <= 20


def test_a_row_of_another_key_under_a_key_is_a_miss(tmp_path, caches):
    keys, made = caches
    with lab.running(tmp_path, **keys) as db:
        db.create(Hero, name="Ada")
        db.create(Hero, name="Bob")
        written(db)
        first, second = sorted(made[0]._values)
        made[0]._values[first] = made[0]._values[second]
        db.owner.memory.clear()
        assert [hero.name for hero in db.many(Hero, [1, 2])] == ["Ada", "Bob"]


def test_a_cached_only_row_is_acknowledged_when_the_server_has_it(tmp_path, caches):
    keys, made = caches
    with lab.running(tmp_path, **keys) as db:
        mood = db.create(Mood, hero=7, word="glad")
        made[0].failing = {"set"}
        mood.word = "sad"
        with pytest.raises(StorageUnavailable):
            db.save(mood)
        made[0].failing = set()
        assert db.get(Mood, 7).word == "glad"
        db.delete(db.get(Mood, 7))
        with pytest.raises(NotFound):
            db.get(Mood, 7)


def test_reads_are_never_stale_while_the_cache_fails_now_and_then(tmp_path, caches):
    keys, made = caches
    with lab.running(tmp_path, [Hero, Account], **keys, **SMALL) as db:

        def hurt():
            generator = random.Random(3)
            while True:
                gevent.sleep(0.02)
                made[0].failing = set(generator.sample(["get_many", "set", "delete"], generator.randint(0, 2)))
                made[0].late = generator.random() < 0.5

        counts = check_reads(db, 300, hurt)
        assert counts["stale"] == 0
        assert counts["reads"] == 2400
        assert db.owner.second.shards[0].failures > 2


def test_reads_are_never_stale_while_memcached_is_killed_flushed_and_frozen(tmp_path, memcached):
    with lab.running(tmp_path, [Hero, Account], cache=memcached.url, cache_timeout=0.1, **SMALL) as db:

        def hurt():
            while True:
                for blow in (lambda: memcached.ask("flush_all"), memcached.kill, memcached.start):
                    blow()
                    gevent.sleep(0.2)
                memcached.freeze()
                gevent.sleep(0.2)
                memcached.thaw()

        counts = check_reads(db, 300, hurt)
        assert counts["stale"] == 0
        assert counts["reads"] == 2400


def test_several_servers_share_the_rows_and_a_dead_one_takes_only_its_own(tmp_path, memcached):
    from tests.promises.servers import free_port

    url = f"{memcached.url},127.0.0.1:{free_port()}"
    with lab.running(tmp_path, [Hero, Account], cache=url, cache_timeout=0.2) as db:
        for number in range(100):
            db.create(Hero, name=f"h{number}")
        written(db)
        db.owner.memory.clear()
        assert len(db.many(Hero, range(1, 101))) == 100
        assert 20 < db.owner.second.hits < 80
