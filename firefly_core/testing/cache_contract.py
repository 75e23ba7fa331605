"""What every cache of the db-cache keeps, as a class of tests to inherit; memory:// and memcached:// inherit it too.

class TestRedisCache(CacheContract):
    @pytest.fixture
    def cache(self):
        made = RedisCache(url, timeout=0.5)
        yield made
        made.close()
"""

from __future__ import annotations

from typing import Any

import gevent
import pytest

__all__ = ["CacheContract"]

BAD_KEYS = ["", "a b", "a\tb", "a\nb", "a\r\nset x 0 0 1\r\n1", "ä", "x" * 251, "\0"]
VALUES = [b"", b"1", b"0" * 900_000, bytes(range(256)), b"\r\nEND\r\n", b"VALUE a 0 1\r\n1\r\nEND\r\n"]


class CacheContract:
    """Inherit it and give the fixture `cache`: an empty cache, not used by anybody else."""

    @pytest.fixture
    def cache(self) -> Any:
        """An empty cache; every inheritor gives its own."""
        raise NotImplementedError("give the fixture `cache`")

    def test_its_scheme_is_a_word(self, cache: Any) -> None:
        assert cache.scheme
        assert cache.scheme == cache.scheme.lower()

    def test_what_was_set_is_given(self, cache: Any) -> None:
        cache.set("a", b"one")
        assert dict(cache.get_many(["a"])) == {"a": b"one"}

    def test_a_missing_key_is_missing_from_the_answer(self, cache: Any) -> None:
        cache.set("a", b"one")
        assert dict(cache.get_many(["a", "b"])) == {"a": b"one"}
        assert dict(cache.get_many(["b"])) == {}
        assert dict(cache.get_many([])) == {}

    def test_the_last_set_holds(self, cache: Any) -> None:
        for value in (b"one", b"two", b"three"):
            cache.set("a", value)
        assert dict(cache.get_many(["a"])) == {"a": b"three"}

    def test_a_deleted_key_is_missing(self, cache: Any) -> None:
        cache.set("a", b"one")
        cache.delete("a")
        assert dict(cache.get_many(["a"])) == {}

    def test_deleting_a_missing_key_is_fine(self, cache: Any) -> None:
        cache.delete("never")

    @pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
    def test_bytes_come_back_as_they_were(self, cache: Any, value: bytes) -> None:
        cache.set("a", value)
        assert dict(cache.get_many(["a"])) == {"a": value}
        assert isinstance(cache.get_many(["a"])["a"], bytes)

    @pytest.mark.parametrize("key", BAD_KEYS, ids=range(len(BAD_KEYS)))
    def test_a_key_that_a_server_would_misread_is_refused(self, cache: Any, key: str) -> None:
        for use in (lambda: cache.set(key, b"1"), lambda: cache.get_many([key]), lambda: cache.delete(key)):
            with pytest.raises(ValueError, match="key"):
                use()  # type: ignore[no-untyped-call]

    def test_the_longest_key_is_taken(self, cache: Any) -> None:
        cache.set("k" * 250, b"1")
        assert dict(cache.get_many(["k" * 250])) == {"k" * 250: b"1"}

    def test_many_keys_are_given_at_once(self, cache: Any) -> None:
        for number in range(300):
            cache.set(f"k{number}", str(number).encode())
        found = cache.get_many([f"k{number}" for number in range(0, 600, 2)])
        assert dict(found) == {f"k{number}": str(number).encode() for number in range(0, 300, 2)}

    def test_greenlets_never_get_each_others_answers(self, cache: Any) -> None:
        def use(number: int) -> None:
            key, value = f"k{number}", str(number).encode() * 50
            for _ in range(20):
                cache.set(key, value)
                assert dict(cache.get_many([key])) == {key: value}

        gevent.joinall([gevent.spawn(use, number) for number in range(30)], raise_error=True)

    def test_a_killed_user_leaves_no_answer_to_the_next(self, cache: Any) -> None:
        for number in range(20):
            cache.set(f"k{number}", str(number).encode())
        for number in range(20):
            user = gevent.spawn(cache.get_many, [f"k{number}"])
            gevent.sleep(0)
            user.kill()
            assert dict(cache.get_many(["k7"])) == {"k7": b"7"}

    def test_a_closed_cache_can_be_closed_again(self, cache: Any) -> None:
        cache.close()
        cache.close()
