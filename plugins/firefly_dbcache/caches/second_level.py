"""The second level behind the owner's memory: rows on one or more cache servers.

Its keys carry a *generation*, a random word. Whenever a set or delete failed or timed out, and after an unclean stop,
the server's generation is replaced by a new one, so that every value stored before becomes unreachable: a server that
comes back with old values fools nobody. Each row has its fixed server; the rows of a dead one are simply not found.

Writes go through one greenlet a server, in order; until a row's write is done, reads find it here and not over there.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from zlib import crc32

import gevent
import msgspec
from gevent.event import Event

from firefly_core.errors import StorageUnavailable
from firefly_dbcache.cache import Cache, CacheUnavailable
from firefly_dbcache.rows.table import Key, Row, Table

__all__ = ["SecondLevel", "Shard"]

PLAIN = re.compile(r"[A-Za-z0-9_.@-]{1,120}")
FOREVER = "0"
"""The generation of rows that live in the cache only: there is nothing they could differ from."""

encode = msgspec.msgpack.Encoder().encode


def decode(table: Table, key: Key, value: bytes) -> Row | None:
    """Give the row of a stored value, or None when it is not this row's."""
    try:
        row = tuple(msgspec.msgpack.decode(value, type=list))
    except msgspec.MsgspecError:
        return None
    return row if len(row) == len(table.columns) and row[0] == key else None


def name_of(table: Table, key: Key) -> str:
    """Give the part of a cache key that is the same in every generation."""
    if isinstance(key, int):
        return f"{table.shape}:{key}"
    if PLAIN.fullmatch(key):
        return f"{table.shape}:s{key}"
    return f"{table.shape}:h{hashlib.sha256(key.encode()).hexdigest()}"


class Shard:
    """One server, its generation, and the writes that it has not done yet."""

    def __init__(
        self,
        name: str,
        cache: Cache,
        generation: str,
        fresh: Callable[[], str],
        monotonic: Callable[[], float],
        limit: int,
        log: logging.Logger,
    ) -> None:
        self.name = name
        self.cache = cache
        self.generation = generation
        self.failures = 0
        self.pending: dict[str, bytes | None] = {}
        self._fresh = fresh
        self._monotonic = monotonic
        self._limit = limit
        self._log = log
        self._wake = Event()
        self._down_until = 0.0
        self._delay = 0.0
        self._stopping = False
        self._greenlet = gevent.spawn(self._run)

    @property
    def up(self) -> bool:
        """Whether it is worth asking: it is not just after a failure."""
        return self._monotonic() >= self._down_until

    def get(self, names: Sequence[str]) -> Mapping[str, bytes | None]:
        """Give the values by name; None is a row that is being removed."""
        found: dict[str, bytes | None] = {name: self.pending[name] for name in names if name in self.pending}
        missing = [name for name in names if name not in found]
        if not missing or not self.up:
            return found
        generation = self.generation
        try:
            prefix = f"ff:{generation}:"
            values = self.cache.get_many([prefix + name for name in missing])
        except Exception as error:  # a cache of somebody's own may fail in its own ways: it costs time, no answer
            self.failed(error)
            return found
        if generation == self.generation:
            self._delay = 0.0
            found.update((name[len(prefix) :], value) for name, value in values.items())
        return found

    def put(self, name: str, value: bytes | None) -> None:
        """Write a value soon, or remove it (None)."""
        if self.up:
            self.pending[name] = value
            self._wake.set()
            if len(self.pending) > self._limit:
                self.failed(CacheUnavailable(f"{self._limit} writes wait for it"))

    def failed(self, error: Exception) -> None:
        """What this server holds is not known any more: all of it becomes unreachable; it is left alone for a while."""
        self.failures += 1
        self.generation = self._fresh()
        self.pending.clear()
        self._delay = min(self._delay * 2 or 0.1, 5.0)
        self._down_until = self._monotonic() + self._delay
        self._log.warning("cache_failed server=%s error=%s", self.name, error)

    def _run(self) -> None:
        while not self._stopping:
            if not self.pending:
                self._wake.clear()
                self._wake.wait()
                continue
            name, value = next(iter(self.pending.items()))
            try:
                if value is None:
                    self.cache.delete(f"ff:{self.generation}:{name}")
                else:
                    self.cache.set(f"ff:{self.generation}:{name}", value)
            except Exception as error:
                self.failed(error)
                continue
            self._delay = 0.0
            if self.pending.get(name, b"") is value:
                del self.pending[name]

    def stop(self, timeout: float) -> bool:
        """Do the writes that wait and end; says whether all were done."""
        with gevent.Timeout(timeout, False):  # type: ignore[arg-type]  # the stubs do not know of False
            while self.pending:
                gevent.sleep(0.005)
        done = not self.pending
        self._stopping = True
        self._wake.set()
        self._greenlet.join(timeout=timeout)
        self._greenlet.kill()
        self.cache.close()
        return done


class SecondLevel:
    """All servers of the second level; there may be none."""

    def __init__(self, shards: Sequence[Shard], max_value: int) -> None:
        self.shards = list(shards)
        self.hits = 0
        self.misses = 0
        self._max_value = max_value

    def _shard(self, name: str) -> Shard:
        return self.shards[crc32(name.encode()) % len(self.shards)]

    def read(self, table: Table, keys: Iterable[Key]) -> dict[Key, Row]:
        """Give those rows that it has for certain; never raises, a dead server has nothing."""
        found: dict[Key, Row] = {}
        if not self.shards:
            return found
        names = {name_of(table, key): key for key in keys}
        by_shard: dict[Shard, list[str]] = {}
        for name in names:
            by_shard.setdefault(self._shard(name), []).append(name)
        for shard, wanted in by_shard.items():
            for name, value in shard.get(wanted).items():
                row = None if value is None else decode(table, names[name], value)
                if row is not None:
                    found[names[name]] = row
        self.hits += len(found)
        self.misses += len(names) - len(found)
        return found

    def put(self, table: Table, key: Key, row: Row | None) -> None:
        """Tell it what the database has now: a row, or (None) no row any more."""
        if self.shards:
            name = name_of(table, key)
            value = None if row is None else encode(row)
            self._shard(name).put(name, None if value is None or len(value) > self._max_value else value)

    def store(self, table: Table, key: Key, row: Row | None) -> None:
        """Keep a row that lives in the cache only; when it returns, the server has it. Raises StorageUnavailable."""
        if not self.shards:
            return
        name = name_of(table, key)
        shard = self._shard(name)
        try:
            if row is None:
                shard.cache.delete(f"ff:{FOREVER}:{name}")
            else:
                shard.cache.set(f"ff:{FOREVER}:{name}", encode(row))
        except CacheUnavailable as error:
            raise StorageUnavailable(str(error)) from error

    def fetch(self, table: Table, keys: Iterable[Key]) -> dict[Key, Row]:
        """Give those rows of a table that lives in the cache only; raises StorageUnavailable."""
        found: dict[Key, Row] = {}
        for key in keys if self.shards else ():
            name = f"ff:{FOREVER}:{name_of(table, key)}"
            try:
                value = self._shard(name_of(table, key)).cache.get_many([name]).get(name)
            except CacheUnavailable as error:
                raise StorageUnavailable(str(error)) from error
            row = None if value is None else decode(table, key, value)
            if row is not None:
                found[key] = row
        return found

    def stop(self, timeout: float) -> dict[str, str]:
        """Do what waits and end; gives the generation of each server whose values can be trusted after a clean stop."""
        return {shard.name: shard.generation for shard in self.shards if shard.stop(timeout) and shard.up}
