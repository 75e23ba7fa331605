"""Rows C14 to C16: databases that are killed, that hang, and that refuse for a while.

Their short forms are in tests/plugins/firefly_dbcache/owner/test_flusher.py, where all tests share one server.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import gevent
import pymysql

from firefly_core.errors import StorageUnavailable
from tests.promises import lab, servers
from tests.promises.ledger import Outcome, Row
from tests.promises.models import Hero

__all__ = ["ROWS"]

COLD = 50
"""Rows that nobody changes, behind the others."""
PATIENCE = 120.0


@attrs.define
class Stage:
    """A real database server, an owner on it, and the gold that was acknowledged."""

    server: Any
    db: Any
    gold: dict[int, int]
    told: list[str] = attrs.field(factory=list)
    """The errors that attempts to flush ended with."""
    attempts: list[float] = attrs.field(factory=list)
    """How long they took."""

    def change(self, rows: int) -> None:
        """Acknowledge a change of the first so many rows."""
        for key in range(1, rows + 1):
            self.gold[key] = self.db.add(Hero, key, gold=1).gold

    def refused_read(self, number: int) -> tuple[bool, float]:
        """Read a row that is nowhere in memory while the database is away: whether it is refused, and how soon."""
        self.db.owner.memory.clear()
        began = time.monotonic()
        try:
            self.db.get(Hero, len(self.gold) + 1 + number % COLD)
        except StorageUnavailable:
            return True, time.monotonic() - began
        return False, time.monotonic() - began

    def wait_flushed(self) -> None:
        """Wait until the database has everything."""
        lab.wait_until(lambda: not len(self.db.owner.overlay), PATIENCE)

    def watch(self) -> None:
        """Note every attempt to flush that fails."""
        plain = self.db.owner.storage.flush

        def watched(*arguments: Any) -> None:
            began = time.monotonic()
            try:
                plain(*arguments)
            except StorageUnavailable as error:
                self.told.append(str(error))
                self.attempts.append(time.monotonic() - began)
                raise

        self.db.owner.storage.flush = watched

    def lost(self) -> int:
        """Give how many rows the database has otherwise than acknowledged."""
        self.wait_flushed()
        query = f"SELECT id, gold FROM hero WHERE id <= {len(self.gold)}"
        found = dict(self.db.owner.database.run(lambda each: each.execute_sql(query).fetchall()))
        return sum(found.get(key) != gold for key, gold in self.gold.items())

    def dead(self) -> int:
        """Give the number of dead letters."""
        return len(self.db.owner.letters.letters)


@contextlib.contextmanager
def staged(kind: Any, rows: int, **keys: Any) -> Iterator[Stage]:
    """Run a server and an owner on it, with some rows in the database."""
    with (
        servers.running(kind) if kind is not None else contextlib.nullcontext() as server,
        tempfile.TemporaryDirectory() as name,
    ):
        if server is not None:
            keys["database"] = server.fresh("game")
            if kind is servers.Mariadb:
                server.sql("CREATE USER game; GRANT ALL ON game.* TO game; SET GLOBAL innodb_lock_wait_timeout = 1", "")
                keys["database"] = keys["database"].replace("root@", "game@")
        with lab.running(Path(name), [Hero], **keys) as db:
            for number in range(1, rows + COLD + 1):
                db.create(Hero, id=number, name="hero")
            assert db.owner.flusher.flush(PATIENCE)
            stage = Stage(server, db, dict.fromkeys(range(1, rows + 1), 0))
            stage.watch()
            yield stage


def _drain_rate(stage: Stage) -> float:
    """Wait until everything is flushed; give rows a second from the first batch on that was taken."""
    overlay = stage.db.owner.overlay
    whole = len(overlay)
    lab.wait_until(lambda: len(overlay) < whole, PATIENCE)
    left, began = len(overlay), time.monotonic()
    stage.wait_flushed()
    return left / (time.monotonic() - began) if left else 0.0


def c14_kills(count: int) -> Outcome:
    """Kill PostgreSQL and MariaDB by turns, change rows and read others meanwhile, start them again."""
    rows = 1000 if count < 4 else 20_000
    kinds = (servers.Postgres, servers.Mariadb)[: max(1, min(2, count))]
    unrefused = lost = dead = queue = 0
    rates = []
    with contextlib.ExitStack() as stack:
        stages = [stack.enter_context(staged(kind, rows)) for kind in kinds]
        for number in range(count):
            stage = stages[number % len(stages)]
            stage.db.preload(Hero)
            stage.server.kill()
            stage.change(rows)
            queue = max(queue, len(stage.db.owner.overlay))
            unrefused += not stage.refused_read(number)[0]
            stage.server.start()
            rates.append(_drain_rate(stage))
        for stage in stages:
            lost, dead = lost + stage.lost(), dead + stage.dead()
    slowest = min(rates)
    figure = (
        f"{lost} rows lost, {dead} dead letters, {unrefused} cold reads not refused, of {count} kills; queue at most "
        f"{queue:,} rows, flushed at {slowest:,.0f} rows/s or more"
    )
    return Outcome(count, figure, not lost and not dead and not unrefused and slowest >= 10_000 / 5)


def c15_hangs(count: int) -> Outcome:
    """Stop every process of PostgreSQL and MariaDB by turns (SIGSTOP): no attempt and no read waits for long."""
    timeout = 10.0 if count >= 10 else 0.5
    kinds = (servers.Postgres, servers.Mariadb)[: max(1, min(2, count))]
    unrefused = lost = 0
    longest_read = 0.0
    with contextlib.ExitStack() as stack:
        stages = [stack.enter_context(staged(kind, 100, timeout=timeout)) for kind in kinds]
        for number in range(count):
            stage = stages[number % len(stages)]
            known = len(stage.attempts)
            stage.db.preload(Hero)
            stage.server.freeze()
            try:
                stage.change(100)
                refused, took = stage.refused_read(number)
                lab.wait_until(lambda stage=stage, known=known: len(stage.attempts) > known, PATIENCE)  # type: ignore[misc]
            finally:
                stage.server.thaw()
            unrefused, longest_read = unrefused + (not refused), max(longest_read, took)
            stage.wait_flushed()
        lost = sum(stage.lost() + stage.dead() for stage in stages)
        longest = max(max(stage.attempts) for stage in stages)
    figure = (
        f"{lost} rows lost or dead of {count} hangs, {unrefused} cold reads not refused; timeout {timeout:g} s: "
        f"an attempt took at most {longest:.1f} s, a read {longest_read:.1f} s"
    )
    return Outcome(count, figure, not lost and not unrefused and max(longest, longest_read) <= timeout + 5)


# ------------------------------------------------------------------------------------------- refusals for a while, C16


def _other(stage: Stage, user: str = "root", database: str = "game") -> Any:
    """Connect to MariaDB beside the owner."""
    return pymysql.connect(host="127.0.0.1", port=stage.server.port, user=user, database=database)


def _until_told(stage: Stage, word: str) -> None:
    stage.change(10)
    lab.wait_until(lambda: any(word in text for text in stage.told), PATIENCE)


def read_only(stage: Stage) -> None:
    stage.server.sql("SET GLOBAL read_only = 1", "")
    try:
        _until_told(stage, "1290")
    finally:
        stage.server.sql("SET GLOBAL read_only = 0", "")


def lock_wait(stage: Stage) -> None:
    with _other(stage) as other:
        other.cursor().execute("UPDATE hero SET owner = owner + 1")
        _until_told(stage, "1205")
        other.rollback()


def deadlock(stage: Stage) -> None:
    """Hold the rows and then want the owner's row, which a flush holds while it wants the rows."""
    with _other(stage) as other:
        cursor = other.cursor()
        cursor.execute("UPDATE hero SET owner = owner + 1")  # more than a flush has written: the flush is the victim
        stage.change(10)
        waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        lab.wait_until(lambda: stage.server.sql(waiting, "").strip() == "1", PATIENCE)
        cursor.execute("SELECT * FROM firefly_owner FOR UPDATE")
        lab.wait_until(lambda: any("1213" in text for text in stage.told), PATIENCE)
        other.rollback()


def too_many(stage: Stage) -> None:
    """Take every connection that there is, and kill those of the owner."""
    with _other(stage) as root:
        crowd = [_other(stage, "game") for _ in range(10)]
        cursor = root.cursor()
        cursor.execute("SET GLOBAL max_connections = 10")
        ids = tuple(each.thread_id() for each in crowd)
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user = 'game' AND id NOT IN %s", (ids,))
        for (number,) in cursor.fetchall():
            cursor.execute("KILL %s", (number,))
        try:
            _until_told(stage, "1040")
        finally:
            for each in crowd:
                each.close()
            cursor.execute("SET GLOBAL max_connections = 100")


def full(stage: Stage) -> None:
    """Let SQLite have no room for another page."""
    run = stage.db.owner.database.run
    run(lambda each: each.execute_sql("PRAGMA max_page_count = 1"))  # it takes no less than there are
    for _ in range(500):
        stage.db.create(Hero, name="a hero with a name that takes some room")
    _until_told(stage, "full")
    run(lambda each: each.execute_sql("PRAGMA max_page_count = 1000000"))


def c16_refusals(count: int) -> Outcome:
    """Let the database refuse in ways that pass: every change arrives, and none is given up."""
    faults: tuple[tuple[str, Callable[[Stage], None]], ...] = (
        ("read-only", read_only),
        ("1205", lock_wait),
        ("1213", deadlock),
        ("too many connections", too_many),
        ("disk full", full),
    )
    seen = dict.fromkeys((name for name, _ in faults), 0)
    with staged(servers.Mariadb, 200) as away, staged(None, 200) as local:
        for number in range(count):
            name, fault = faults[number % len(faults)]
            stage = local if fault is full else away
            stage.told.clear()
            fault(stage)
            stage.wait_flushed()
            seen[name] += 1
            gevent.sleep(0)
        lost, dead = away.lost() + local.lost(), away.dead() + local.dead()
    each = ", ".join(f"{name} {times}" for name, times in seen.items())
    figure = f"{dead} dead letters, {lost} rows lost of {count} refusals: {each}"
    return Outcome(count, figure, not lost and not dead)


ROWS = [
    Row("C14", "a killed database costs reads of cold rows, and nothing else", c14_kills, 0, 50),
    Row("C15", "a database that hangs holds nothing up for long", c15_hangs, 0, 20),
    Row("C16", "what a database refuses for a while is tried again", c16_refusals, 0, 50),
]
