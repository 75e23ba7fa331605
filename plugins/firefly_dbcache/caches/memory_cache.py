"""`memory://`: a cache in this process, bounded by the size of its values; the reference for other caches."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import ClassVar

from firefly_core.kernel.config.config import MiB, Url
from firefly_dbcache.cache import Cache, check_key

__all__ = ["MemoryCache"]


class MemoryCache(Cache):
    """A dict whose least lately used values go when they take more than `memory://?size=BYTES` (64 MiB)."""

    scheme: ClassVar[str] = "memory"
    OVERHEAD = 200
    """Bytes that an entry takes beside its value."""

    def __init__(self, url: Url, *, timeout: float) -> None:  # noqa: ARG002  nothing here can take long
        self.limit = self.size_of(url) or 64 * MiB
        self._values: dict[str, bytes] = {}
        self._size = 0

    @staticmethod
    def size_of(url: Url) -> int:
        """Give the size that a URL asks for; 0 when it asks for none. Raises ValueError."""
        return int(urllib.parse.parse_qs(url.query).get("size", ["0"])[-1])

    def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        found = {}
        for key in keys:
            check_key(key)
            value = self._values.pop(key, None)
            if value is not None:
                self._values[key] = found[key] = value
        return found

    def set(self, key: str, value: bytes) -> None:
        self.delete(key)
        if len(value) + self.OVERHEAD <= self.limit:
            self._values[key] = bytes(value)
            self._size += len(value) + self.OVERHEAD
        while self._size > self.limit:
            self.delete(next(iter(self._values)))

    def delete(self, key: str) -> None:
        check_key(key)
        value = self._values.pop(key, None)
        if value is not None:
            self._size -= len(value) + self.OVERHEAD
