"""What the db-cache does in a second, measured inside the server that owns the database."""

import time

import attrs
import gevent
from hero import Hero

from firefly_core import command

HEROES = 1000
EACH = 10
"""Heroes of one owner."""


@attrs.frozen
class Task:
    """What is asked for: `kind` is `get`, `save`, `where` or `add`."""

    kind: str
    in_flight: int
    seconds: float


@command(11, public=True, timeout=60.0)
def prepare(ctx) -> int:
    """Make the heroes."""
    for number in range(1, HEROES + 1):
        ctx.db.create(Hero, id=number, name=f"hero {number}", owner=number // EACH)
    return HEROES


@command(12, public=True, timeout=60.0)
def measure(ctx, task: Task) -> dict:
    done = [0]
    until = time.monotonic() + task.seconds
    loops = {"get": get, "save": save, "where": where, "add": add}
    began, cpu = time.monotonic(), time.process_time()
    greenlets = [gevent.spawn(loops[task.kind], ctx.db, until, done, first) for first in range(task.in_flight)]
    gevent.joinall(greenlets, raise_error=True)
    return {"answers": done[0], "seconds": time.monotonic() - began, "cpu": time.process_time() - cpu}


def keys(first: int):
    """Give keys for ever; each greenlet begins at another."""
    number = first * 7
    while True:
        number = (number + 1) % HEROES
        yield number + 1


def get(db, until: float, done: list, first: int) -> None:
    for key in keys(first):
        db.get(Hero, key)
        done[0] += 1
        if time.monotonic() > until:
            return


def save(db, until: float, done: list, first: int) -> None:
    hero = db.get(Hero, first + 1)
    while time.monotonic() < until:
        hero.gold += 1
        db.save(hero)
        done[0] += 1


def add(db, until: float, done: list, first: int) -> None:
    for key in keys(first):
        db.add(Hero, key, gold=1)
        done[0] += 1
        if time.monotonic() > until:
            return


def where(db, until: float, done: list, first: int) -> None:
    for key in keys(first):
        db.where(Hero, owner=key // EACH)
        done[0] += 1
        if time.monotonic() > until:
            return
