"""The contract of a cache: what a plugin offers by `firefly_caches` to stand behind the owner's memory.

    class RedisCache(Cache):
        scheme = "redis"            # cache = "redis://127.0.0.1:6379"

Keys are at most 250 printable ASCII characters without blanks; values are bytes. `firefly_core.testing.cache_contract`
has the tests that every cache must pass.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import ClassVar

from firefly_core.errors import StorageError
from firefly_core.kernel.config.config import Url

__all__ = ["Cache", "CacheUnavailable", "check_key"]


class CacheUnavailable(StorageError):
    """The cache's server did not do it, or nobody knows whether it did."""


class Cache(abc.ABC):
    """One server that keeps values for a while. It may lose any value at any time; it must never give a wrong one.

    Methods may be called by several greenlets at once, block the calling one only, and never for long: an
    implementation sets its time limits, and raises CacheUnavailable when they pass or the server is away.
    """

    scheme: ClassVar[str]
    """The scheme of the URL that chooses this cache."""

    @abc.abstractmethod
    def __init__(self, url: Url, *, timeout: float) -> None:
        """Stand for the server at `url` (one host); connects at first use, not here."""

    @abc.abstractmethod
    def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """Give the values that are there; a key without one is missing from the answer, which is no error."""

    @abc.abstractmethod
    def set(self, key: str, value: bytes) -> None:
        """Keep a value. When it returns, `get_many` gives this value or none, never an earlier one."""

    @abc.abstractmethod
    def delete(self, key: str) -> None:
        """Forget a value; a missing one is fine."""

    def close(self) -> None:
        """Release what is held; must not raise."""
        return


def check_key(key: str) -> None:
    """Raise ValueError for a key that a server would misread."""
    if not (0 < len(key) <= 250 and key.isascii() and key.isprintable() and " " not in key):
        raise ValueError(f"a cache key has 1 to 250 printable ASCII characters without blanks, not {key[:80]!r}")
