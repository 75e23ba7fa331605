import pytest
from firefly_dbcache.caches.memory_cache import MemoryCache

from firefly_core.kernel.config.config import Url
from firefly_core.testing.cache_contract import CacheContract


def make(size):
    return MemoryCache(Url(scheme="memory", query=f"size={size}"), timeout=0.5)


class TestMemoryCache(CacheContract):
    @pytest.fixture
    def cache(self):
        return make(10_000_000)


def test_the_least_lately_used_values_go_first():
    cache = make(4 * (MemoryCache.OVERHEAD + 100))
    for number in range(4):
        cache.set(f"k{number}", bytes(100))
    cache.get_many(["k0"])
    cache.set("k4", bytes(100))
    assert set(cache.get_many([f"k{number}" for number in range(5)])) == {"k0", "k2", "k3", "k4"}


def test_a_value_larger_than_the_cache_replaces_nothing_but_its_own_former_one():
    cache = make(1000)
    cache.set("a", b"1")
    cache.set("b", b"1")
    cache.set("a", bytes(2000))
    assert dict(cache.get_many(["a", "b"])) == {"b": b"1"}
