import contextlib
import time

import pytest
from firefly_dbcache.cache import CacheUnavailable
from firefly_dbcache.caches.memcached_cache import MemcachedCache

from firefly_core.kernel.config.config import Url
from firefly_core.testing.cache_contract import CacheContract
from tests.promises.servers import free_port


@pytest.fixture
def make():
    """Give caches that are closed at the end."""
    with contextlib.ExitStack() as stack:

        def made(port):
            cache = MemcachedCache(Url(scheme="memcached", host="127.0.0.1", port=port), timeout=0.3)
            stack.callback(cache.close)
            return cache

        yield made


class TestMemcachedCache(CacheContract):
    @pytest.fixture
    def cache(self, make, memcached):
        return make(memcached.port)


def test_a_server_that_is_not_there_raises(make):
    cache = make(free_port())
    for use in (lambda: cache.get_many(["a"]), lambda: cache.set("a", b"1"), lambda: cache.delete("a")):
        with pytest.raises(CacheUnavailable):
            use()


def test_a_server_that_does_not_answer_raises_in_time(make, memcached):
    cache = make(memcached.port)
    cache.set("a", b"1")
    memcached.freeze()
    began = time.monotonic()
    with pytest.raises(CacheUnavailable):
        cache.get_many(["a"])
    assert time.monotonic() - began < 5
    memcached.thaw()
    assert dict(cache.get_many(["a"])) == {"a": b"1"}


def test_a_restarted_server_is_used_again(make, memcached):
    cache = make(memcached.port)
    cache.set("a", b"1")
    memcached.kill()
    with pytest.raises(CacheUnavailable):
        cache.set("a", b"2")
    memcached.start()
    cache.set("a", b"3")
    assert dict(cache.get_many(["a"])) == {"a": b"3"}


def test_a_value_that_the_server_refuses_is_an_error_and_not_a_success(make, memcached):
    cache = make(memcached.port)
    with pytest.raises(CacheUnavailable):
        cache.set("a", bytes(2_000_000))
    assert dict(cache.get_many(["a"])) == {}
