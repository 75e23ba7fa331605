"""Rows A34, A35 and A39: databases that are away, caches that fail, rows that are refused.

The short form of A34 is in tests/plugins/firefly_dbcache/owner/test_flusher.py, where all tests share one server.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Any

import gevent

from firefly_core.errors import StorageError
from tests.promises import lab, servers
from tests.promises.ledger import Outcome, Row
from tests.promises.models import Account, Hero, Item
from tests.promises.staleness import check_reads

__all__ = ["ROWS"]


class Writers:
    """Greenlets that count rows up and remember every acknowledgement."""

    def __init__(self, db: Any, rows: int, pause: float) -> None:
        self.acknowledged = dict.fromkeys(range(1, rows + 1), 0)
        self.refused = 0
        self._db = db
        self._pause = pause
        self._greenlets = [gevent.spawn(self._run, key) for key in self.acknowledged]

    def _run(self, key: int) -> None:
        while True:
            try:
                self.acknowledged[key] = self._db.add(Hero, key, gold=1).gold
            except StorageError:
                self.refused += 1
            gevent.sleep(self._pause)

    def stop(self) -> None:
        """End them."""
        gevent.killall(self._greenlets)


def a34_outages(count: int) -> Outcome:
    """Let MariaDB be killed, frozen and read-only by turns, `count` seconds of outage in all, under load."""
    rows, outage, peak, drained = 50, 0.0, 0, 0.0
    with servers.running(servers.Mariadb) as server, tempfile.TemporaryDirectory() as name:
        url = server.fresh("outage")
        server.sql("CREATE USER game; GRANT ALL ON outage.* TO game", "")
        with lab.running(Path(name), [Hero, Item], database=url.replace("root@", "game@"), timeout=2.0) as db:
            for number in range(rows):
                db.create(Hero, name=f"h{number}")
            writers = Writers(db, rows, 0.02 if count < 60 else 0.1)
            blows = [
                (server.kill, server.start),
                (server.freeze, server.thaw),
                (
                    lambda: server.sql("SET GLOBAL read_only = 1", ""),
                    lambda: server.sql("SET GLOBAL read_only = 0", ""),
                ),
            ]
            turn = 0
            while outage < count:
                hurt, heal = blows[turn % len(blows)]
                turn += 1
                length = min(max(1.0, count / 6), count - outage + 0.01)
                hurt()
                gevent.sleep(length)
                outage += length
                peak = max(peak, len(db.owner.overlay))
                heal()
                began = time.monotonic()
                lab.wait_until(lambda: db.owner.flusher.failing is None and len(db.owner.overlay) <= rows, 60)
                drained = max(drained, time.monotonic() - began)
            writers.stop()
            letters = len(db.owner.letters.letters)
            assert db.owner.flusher.flush(30)
        told = dict(line.split("\t") for line in server.sql("SELECT id, gold FROM hero", "outage").splitlines())
    lost = sum(int(told[str(key)]) not in (gold, gold + 1) for key, gold in writers.acknowledged.items())
    total = sum(writers.acknowledged.values())
    figure = (
        f"{lost} rows lost, {letters} dead letters, {outage:.0f} s of outage; queue at most {peak} rows, "
        f"back within {drained:.1f} s"
    )
    return Outcome(total, figure, not lost and not letters)


def a35_stale(count: int) -> Outcome:
    """Restart, flush and freeze memcached while rows are read and written; `count` reads are checked."""
    with (
        servers.running(lambda folder: servers.Memcached(folder, megabytes=2)) as server,
        tempfile.TemporaryDirectory() as name,
        lab.running(Path(name), [Hero, Account], cache=server.url, cache_timeout=0.1, memory=65536) as db,
    ):
        blows = (lambda: server.ask("flush_all"), server.kill, server.start, server.freeze, server.thaw)

        def hurt() -> None:
            generator = random.Random(count)
            while True:
                for blow in blows:
                    blow()
                    gevent.sleep(generator.uniform(0.1, min(1.5, count / 5000)))

        counts = check_reads(db, count // 8 + 1, hurt, timeout=3000)
        hits, failures = db.owner.second.hits, sum(shard.failures for shard in db.owner.second.shards)
    figure = f"{counts['stale']} stale of {counts['reads']:,} reads; {hits:,} came from memcached"
    kept = counts["stale"] == 0 and hits > 0
    return Outcome(counts["reads"], f"{figure}, which failed {failures} times", kept)


def a39_poison(count: int) -> Outcome:
    """Write rows of which 1 % are poisoned in five ways; the others must be in the database at once."""
    kinds = [(None, 0, 0), ("x", None, 0), ("x", 0, None), (None, None, 0), (b"x", 2**70, 0)]
    poisoned = {key for key in range(1, count + 1) if key % 100 == 50}
    with tempfile.TemporaryDirectory() as name, lab.running(Path(name), [Hero, Item]) as db:
        for key in range(1, count + 1):
            if key in poisoned:
                _poison(db, key, kinds[key // 100 % len(kinds)])
            else:
                db.create(Hero, id=key, name="good")
        written = time.monotonic()

        def stored() -> int:
            query = "SELECT COUNT(*) FROM hero"
            return int(db.owner.database.run(lambda each: each.execute_sql(query).fetchone()[0]))

        lab.wait_until(lambda: stored() == count - len(poisoned), 60)
        delay = time.monotonic() - written
        lab.wait_until(lambda: len(db.owner.letters.letters) == len(poisoned), 120)
        exact = {letter.key for letter in db.owner.letters.letters.values()} == poisoned
    which = "exactly" if exact else "not"
    figure = f"{len(poisoned)} dead letters, {which} the poisoned ones; good rows after {delay:.2f} s"
    return Outcome(count, figure, exact and delay <= 5)


def _poison(db: Any, key: int, values: tuple[Any, Any, Any]) -> None:
    """Put a row that the database refuses behind the checks, as if the journal had it."""
    owner = db.owner
    owner.writer.version += 1
    table, ver = owner.tables["hero"], owner.writer.version
    owner.overlay.put(table, key, (key, ver, *values), ver, owner.journal.last + 1, journaled=False)


ROWS = [
    Row("A34", "a database outage loses nothing", a34_outages, 0, 600),
    Row("A35", "a cache that fails serves nothing stale", a35_stale, 4_000, 1_000_000),
    Row("A39", "a poisoned row blocks only itself", a39_poison, 500, 10_000),
]
