"""The owner without a server around it: `owner_alone.py flush URL FOLDER SECONDS`, or `fill`, and then `memory`."""

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
import msgpack  # noqa: E402
from firefly_dbcache.config import DbCacheConfig  # noqa: E402
from firefly_dbcache.handle import Handle  # noqa: E402
from firefly_dbcache.local_store import LocalStore  # noqa: E402
from firefly_dbcache.owner.owner import Owner  # noqa: E402
from firefly_dbcache.rows.durability import Durability  # noqa: E402
from firefly_dbcache.rows.table import Table  # noqa: E402
from hero import Hero  # noqa: E402

from firefly_core.kernel.config.config import read_alone  # noqa: E402

FLUSHED = 20_000
CACHED = 100_000
LONG = 60.0


def start(url: str, folder: Path, interval: float) -> Owner:
    keys = {"database": url, "journal": str(folder / "journal"), "flush_interval": interval}
    owner = Owner(read_alone(DbCacheConfig, keys, folder=folder), [Table(Hero, Durability.named("journal"))])
    owner.start()
    gevent.sleep(0)
    return owner


def flush(url: str, folder: Path, seconds: float) -> dict:
    """Change 20,000 rows, then flush them; again and again until so many seconds went into flushing."""
    owner = start(url, folder, LONG)
    db = Handle(LocalStore(owner))
    for number in range(1, FLUSHED + 1):
        db.create(Hero, id=number, name=f"hero {number}", owner=number // 10)
    figures = {"inserted": timed(owner)}
    rows, took = 0, 0.0
    while took < seconds:
        for number in range(1, FLUSHED + 1):
            db.add(Hero, number, gold=1)
        took += FLUSHED / timed(owner)
        rows += FLUSHED
    owner.stop()
    return figures | {"updated": rows / took}


def timed(owner: Owner) -> float:
    began = time.monotonic()
    if not owner.flusher.flush(LONG):
        raise AssertionError("not flushed in time")
    return FLUSHED / (time.monotonic() - began)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def fill(url: str, folder: Path, _seconds: float) -> dict:
    """Make 100,000 rows; `memory`, in a process of its own, reads them."""
    owner = start(url, folder, 0.05)
    db = Handle(LocalStore(owner))
    for number in range(1, CACHED + 1):
        db.create(Hero, id=number, name=f"hero {number}", owner=number // 10)
    owner.stop()
    return {"rows": CACHED}


def memory(url: str, folder: Path, _seconds: float) -> dict:
    """Read 100,000 rows into the memory of an owner that has just started."""
    owner = start(url, folder, 0.05)
    db = Handle(LocalStore(owner))
    db.get(Hero, 1)
    gc.collect()
    before = resident()
    for first in range(1, CACHED + 1, 1000):
        db.many(Hero, range(first, first + 1000))
    gc.collect()
    grown = resident() - before
    if len(owner.memory) != CACHED:
        raise AssertionError("not all of them are in memory")
    own = sum(len(msgpack.packb(row)) for row in owner.memory.rows[owner.tables["hero"]].young.values())
    owner.stop()
    return {"bytes": (grown - own) / CACHED, "own": own / CACHED}


def main(kind: str, url: str, folder: str, seconds: str) -> None:
    print(json.dumps({"flush": flush, "fill": fill, "memory": memory}[kind](url, Path(folder), float(seconds))))


main(*sys.argv[1:])
