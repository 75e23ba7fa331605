"""Row C12: memcached is killed, emptied, frozen and too small while rows are read and written."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent

from tests.promises import lab, servers
from tests.promises.ledger import Outcome, Row
from tests.promises.models import Hero

__all__ = ["ROWS"]

READERS = 10
CROWD = 20
WINDOW = 0.25
SLOWER = 5
"""So many times the p99 from before the harm is not slow yet."""


class Load:
    """A thousand reads and fifty changes a second of so many rows; every read is checked and timed."""

    def __init__(self, db: Any, rows: int, seed: int) -> None:
        self.stale = 0
        self.reads = 0
        self.recent: list[float] = []
        self.overlapping = 0
        """Reads of the database for a row that was being read already."""
        self._db = db
        self._random = random.Random(seed)
        self._acknowledged = dict.fromkeys(range(1, rows + 1), 0)
        self._begun = dict(self._acknowledged)
        self._flights: Counter[int] = Counter()
        self._plain_read = db.owner.storage.read
        db.owner.storage.read = self._counted_read
        works = [self._read_on] * READERS + [self._change_on]
        self._greenlets = [gevent.spawn(work) for work in works]

    def _counted_read(self, table: Any, keys: Any) -> Any:
        self.overlapping += sum(self._flights[key] > 0 for key in keys)
        self._flights.update(keys)
        try:
            return self._plain_read(table, keys)
        finally:
            self._flights.subtract(keys)

    def read(self, key: int) -> None:
        """Read one row: not older than what was acknowledged before, not newer than what was begun."""
        floor, began = self._acknowledged[key], time.perf_counter()
        found = self._db.get(Hero, key).gold
        self.recent.append(time.perf_counter() - began)
        self.reads += 1
        self.stale += not floor <= found <= self._begun[key]

    def _read_on(self) -> None:
        while True:
            self.read(self._random.choice(range(1, len(self._acknowledged) + 1)))
            gevent.sleep(0.01)

    def _change_on(self) -> None:
        while True:
            key = self._random.choice(range(1, len(self._acknowledged) + 1))
            self._begun[key] += 1
            self._acknowledged[key] = self._db.add(Hero, key, gold=1).gold
            gevent.sleep(0.02)

    def p99(self, seconds: float = WINDOW) -> float:
        """Give the p99 of the reads of the next so many seconds."""
        self.recent = []
        gevent.sleep(seconds)
        taken = sorted(self.recent)
        return taken[len(taken) * 99 // 100] if taken else seconds

    def crowd(self) -> None:
        """Let many want one cold row at the same moment."""
        key = self._random.choice(range(1, len(self._acknowledged) + 1))
        self._db.owner.memory.clear()
        gevent.joinall([gevent.spawn(self.read, key) for _ in range(CROWD)], raise_error=True)

    def stop(self) -> None:
        """End it; raises what a reader or writer raised."""
        failed = [greenlet.exception for greenlet in self._greenlets if greenlet.exception is not None]
        gevent.killall(self._greenlets)
        if failed:
            raise failed[0]


@contextmanager
def _loaded(server: servers.Memcached, rows: int, seed: int) -> Iterator[Load]:
    with (
        tempfile.TemporaryDirectory() as name,
        lab.running(Path(name), [Hero], cache=server.url, cache_timeout=0.1, memory=131072) as db,
    ):
        for number in range(1, rows + 1):
            db.create(Hero, id=number, name="a hero with a name that takes some room")
        assert db.owner.flusher.flush(30)
        load = Load(db, rows, seed)
        try:
            yield load
        finally:
            load.stop()


def _slow_for(load: Load, before: float, longest: float) -> float:
    """Give how long reads were slow."""
    began = time.monotonic()
    while load.p99() > SLOWER * before and time.monotonic() - began < longest:
        pass
    return time.monotonic() - began - WINDOW


def c12_memcached(count: int) -> Outcome:
    """Do one kind of harm after the other; every time look how long reads are slow, and let a crowd want one row."""
    worst = 0.0
    rows = 500 if count < 10 else 20_000  # more than 2 MB hold, so that memcached throws rows out
    with (
        servers.running(lambda folder: servers.Memcached(folder, megabytes=2)) as server,
        _loaded(server, rows, count) as load,
    ):
        harms: tuple[tuple[Callable[[], Any], Callable[[], Any]], ...] = (
            (lambda: (server.kill(), server.start()), lambda: None),
            (lambda: server.ask("flush_all"), lambda: None),
            (server.kill, server.start),
            (server.freeze, server.thaw),
        )
        for number in range(count):
            harm, heal = harms[number % len(harms)]
            before = load.p99(2 * WINDOW)
            harm()
            worst = max(worst, _slow_for(load, before, 25))
            load.crowd()
            heal()
        evicted = next((line for line in server.ask("stats").splitlines() if "evictions" in line), "0").split()[-1]
    figure = (
        f"{load.stale} stale of {load.reads:,} reads, {count} faults, {load.overlapping} rows read twice at once; "
        f"p99 above {SLOWER} times the usual for at most {max(worst, 0.0):.1f} s; {int(evicted):,} rows thrown out"
    )
    return Outcome(count, figure, not load.stale and not load.overlapping and worst <= 5 * 5)


ROWS = [Row("C12", "a memcached that fails costs time, never a right answer", c12_memcached, 2, 50)]
