"""Readers and writers of a few rows, and a check of every read: none may be older than an acknowledgement."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import gevent

from tests.promises.models import Hero

__all__ = ["check_reads"]


def check_reads(db: Any, rounds: int, hurt: Callable[[], None], seed: int = 7, timeout: float = 50) -> dict[str, int]:
    """Let four readers read `rounds` times two while two writers add and `hurt` does harm; gives reads and stale ones.

    A read must give at least what was acknowledged before it began, and at most what was begun before it ended.
    """
    generator = random.Random(seed)
    keys = range(1, 13)
    acknowledged = {}
    begun = {}
    for key in keys:
        acknowledged[key] = begun[key] = db.create(Hero, id=key, name="x").gold
    counts = {"reads": 0, "stale": 0}
    pause = 0.001 if rounds < 5000 else 0.0  # few reads take long enough for harm to be done meanwhile

    def write() -> None:
        while True:
            key = generator.choice(keys)
            begun[key] += 1
            value = begun[key]
            acknowledged[key] = max(acknowledged[key], db.add(Hero, key, gold=1).gold)
            assert acknowledged[key] >= value - 1
            gevent.sleep(0.01)  # most rows are in the database most of the time, so reads go to the second level

    def read() -> None:
        for _ in range(rounds * 2):
            key = generator.choice(keys)
            floor = acknowledged[key]
            if generator.random() < 0.5:
                db.owner.memory.clear()
            found = db.get(Hero, key).gold
            counts["reads"] += 1
            if not floor <= found <= begun[key]:
                counts["stale"] += 1
            gevent.sleep(pause)

    others = [gevent.spawn(work) for work in (write, write, hurt)]
    readers = [gevent.spawn(read) for _ in range(4)]
    gevent.joinall(readers, timeout=timeout, raise_error=True)
    failed = [other.exception for other in others if other.exception is not None]
    gevent.killall(others)
    if failed:
        raise failed[0]
    assert all(reader.ready() for reader in readers)
    return counts
