"""Rows A36, A40, A41 and A42: replays in any order, disks that fail, bytes that flip, tables that differ."""

from __future__ import annotations

import contextlib
import errno
import random
import tempfile
from pathlib import Path
from typing import Any

import gevent
from firefly_dbcache.journal.replay import CorruptJournal, Replay
from firefly_dbcache.rows.overlay import Change
from gevent import monkey

from firefly_core.errors import ConfigurationError, Overloaded
from tests.promises import lab, servers
from tests.promises.bad_disk import BadDisk
from tests.promises.drifts import DRIFTS, Knight, alter
from tests.promises.ledger import Outcome, Row
from tests.promises.models import Account, Hero

__all__ = ["ROWS"]


# -------------------------------------------------------------------------------------------------- histories, A36


def _history(generator: random.Random, table: Any, keys: range) -> tuple[list[Change], dict[int, int]]:
    """Give the states of some rows over time, and for each row that is there at the end its version."""
    changes, last = [], {}
    for key in keys:
        for ver in range(1, generator.randint(2, 5)):
            row = None if generator.random() < 0.3 else (key, ver, f"v{ver}", ver, 0)
            changes.append(Change(table, key, row, ver))
            last[key] = ver if row is not None else 0
    return changes, {key: ver for key, ver in last.items() if ver}


def _wrong_histories(owner: Any, count: int, seed: int) -> int:
    """Flush histories in any order, with any repetition; each has rows of its own. Gives how many came out wrong."""
    generator = random.Random(seed)
    table = owner.tables["hero"]
    wrong = 0
    for number in range(count):
        keys = range(number * 4 + 1, number * 4 + 4)
        changes, expected = _history(generator, table, keys)
        pending = changes + generator.choices(changes, k=len(changes))
        generator.shuffle(pending)
        while pending:
            batch = {}
            for change in pending[: generator.randint(1, 8)]:
                batch.setdefault(change.key, change)
            owner.storage.flush(list(batch.values()), owner.clock.time())  # tombstones of today
            taken = set(map(id, batch.values()))
            pending = [change for change in pending if id(change) not in taken or taken.discard(id(change))]  # type: ignore[func-returns-value]
        found = owner.storage.read(table, list(keys))
        wrong += {key: row[1] for key, row in found.items()} != expected
    return wrong


def a36_histories(count: int) -> Outcome:
    """Flush histories of three rows, shuffled and repeated, into SQLite and MariaDB."""
    half = max(1, count // 2)
    with tempfile.TemporaryDirectory(dir=lab.MEMORY) as name, lab.running(Path(name), [Hero]) as db:
        wrong = _wrong_histories(db.owner, half, count)
    if count < 100:  # the short form: a server's start would take most of it
        return Outcome(half, f"{wrong} wrong of {half:,} histories on SQLite", wrong == 0)
    with (
        servers.running(lambda folder: servers.Mariadb(folder, durable=False), lab.MEMORY) as server,
        tempfile.TemporaryDirectory(dir=lab.MEMORY) as name,
        lab.running(Path(name), [Hero], database=server.fresh("histories")) as db,
    ):
        wrong += _wrong_histories(db.owner, half, count + 1)
    return Outcome(2 * half, f"{wrong} wrong of {2 * half:,} histories", wrong == 0)


# ------------------------------------------------------------------------------------------------------ disks, A40


def _refusals(db: Any, tries: int) -> tuple[int, int]:
    """Try changes while the disk fails; gives acknowledged ones and refused ones."""
    done = refused = 0
    for number in range(tries):
        try:
            if number % 2:
                db.add(Hero, 1, gold=1)
            else:
                db.add(Account, "ada", coins=1)
            done += 1
        except Overloaded:
            refused += 1
    return done, refused


def _one_fault(kind: str) -> tuple[int, int, float]:
    """Let the disk fail in one way, then be well again; gives false acknowledgements, lost ones, seconds to recover."""
    disk = BadDisk()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with lab.running(folder, [Hero, Account], parts={"disk": disk}, flush_interval=60.0) as db:
            db.create(Hero, name="Ada")
            db.create(Account, login="ada")
            known = db.owner.writer.commits
            if kind == "no room":
                disk.room = 0
            elif kind == "slow fsync":
                sleep = monkey.get_original("time", "sleep")
                disk.before_sync = lambda: sleep(0.3)
            else:
                disk.fail = {"write on EIO": {"write": errno.EIO}, "fsync on EIO": {"sync": errno.EIO}}[kind]
            done, _ = _refusals(db, 6)
            # Until the disk says so, a change that does not wait for it cannot know; one that waits must be refused.
            allowed = {"no room": 0, "slow fsync": 6, "write on EIO": 0, "fsync on EIO": 3}[kind]
            false = max(0, done - allowed)
            gold, coins = db.get(Hero, 1).gold, db.get(Account, "ada").coins
            disk.fail, disk.room, disk.before_sync = {}, None, lambda: None
            began = db.owner.clock.monotonic()
            lab.wait_until(lambda: db.owner.journal.state.name == "OPEN")
            seconds = db.owner.clock.monotonic() - began
            db.add(Hero, 1, gold=1)
            lab.abandon(db.owner)
            assert known == 2
        with lab.running(folder, [Hero, Account]) as db:
            lost = (db.get(Hero, 1).gold != gold + 1) + (db.get(Account, "ada").coins != coins)
    return false, lost, seconds


def a40_disks(count: int) -> Outcome:
    """Let the journal's disk be full, fail to write, fail to sync and be slow, by turns."""
    kinds = ("no room", "write on EIO", "fsync on EIO", "slow fsync")
    false = lost = 0
    slowest = 0.0
    for number in range(count):
        one, two, seconds = _one_fault(kinds[number % len(kinds)])
        false, lost, slowest = false + one, lost + two, max(slowest, seconds)
    figure = f"{false} false acknowledgements, {lost} changes lost or come back, usable again after {slowest:.1f} s"
    return Outcome(count, figure, not false and not lost and slowest <= 25)


# ------------------------------------------------------------------------------------------------------ flips, A41


def a41_flips(count: int) -> Outcome:
    """Flip bytes of a segment of 100 records, one at a time and spread over all of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        owner = lab.make_owner(folder, [Hero], flush_interval=60.0)
        owner.start()
        gevent.sleep(0)
        db = lab.OwnedHandle(owner)
        for number in range(100):
            db.create(Hero, name=f"a hero of some name, number {number}", gold=number)
        lab.abandon(owner)
        (path,) = (folder / "journal").glob("*.segment")
        whole = path.read_bytes()
        expected = [bytes(body) for _, _, body in Replay(folder / "journal", 0).records()]
        silent = loud = torn = 0
        tries = min(count, len(whole))
        for number in range(tries):
            place = number * len(whole) // tries
            bent = bytearray(whole)
            bent[place] ^= 1 << number % 8
            path.write_bytes(bent)
            try:
                replay = Replay(folder / "journal", 0)
                found = [bytes(body) for _, _, body in replay.records()]
            except CorruptJournal:
                loud += 1
                continue
            right = replay.torn and found == expected[: len(found)] and len(found) >= len(expected) - 1
            torn, silent = torn + bool(right), silent + (not right)
        assert len(expected) == 100
    figure = f"{silent} silent wrong rows; {loud:,} refused loudly, {torn} in the last record taken for a torn tail"
    return Outcome(tries, f"{figure}, of {len(whole):,} bytes", silent == 0)


# ------------------------------------------------------------------------------------------------------ drifts, A42


def a42_drifts(count: int) -> Outcome:
    """Change a table in each way that its kind of database has; the next start must refuse and name the column."""
    cases = [(drift, kind) for kind in ("sqlite", "postgresql", "mysql") for drift in DRIFTS]
    cases = [(drift, kind) for drift, kind in cases if kind in DRIFTS[drift][2] or "*" in DRIFTS[drift][2]][:count]
    kinds = {"postgresql": servers.Postgres, "mysql": servers.Mariadb}
    refused = 0
    with contextlib.ExitStack() as stack:
        running = {
            kind: stack.enter_context(servers.running(made))
            for kind, made in kinds.items()
            if any(kind == wanted for _, wanted in cases)
        }
        for drift, kind in cases:
            refused += _refuses(drift, running[kind].fresh("drift") if kind in running else None, kind)
    return Outcome(len(cases), f"{refused} of {len(cases)} refused with the column named", refused == len(cases))


def _refuses(drift: str, url: str | None, kind: str) -> bool:
    column, told, changes = DRIFTS[drift]
    keys = {} if url is None else {"database": url}
    with tempfile.TemporaryDirectory() as name:
        with lab.running(Path(name), [Knight], **keys) as db:
            alter(db.owner, changes.get(kind, changes.get("*")))
        try:
            lab.make_owner(Path(name), [Knight], **keys).start()
        except ConfigurationError as error:
            return f"knight.{column}" in str(error) and told in str(error)
        return False


ROWS = [
    Row("A36", "replays are idempotent and safe in any order", a36_histories, 20, 10_000),
    Row("A40", "a full or failing disk refuses and never lies", a40_disks, 2, 80),
    Row("A41", "a corrupt journal is detected", a41_flips, 400, 100_000),
    Row("A42", "tables that differ are refused before the first write", a42_drifts, 3, 100),
]
