"""Rows read from another server, beside a bare call to the same server over the same channel."""

import sys
from pathlib import Path

import attrs
import gevent
from hero import Hero

from firefly_core import command

sys.path.append(str(Path(__file__).resolve().parent.parent / "peers"))
from callers import BODY, WARM_UP, Window

HEROES = 1000


@attrs.frozen
class Task:
    """What is asked for: `kind` is `get` or `call`; `watched` is the pid of the other server."""

    kind: str
    in_flight: int
    seconds: float
    watched: int


@command(13, public=True, timeout=60.0)
def prepare(ctx) -> int:
    """Make the heroes."""
    for number in range(1, HEROES + 1):
        ctx.db.create(Hero, id=number, name=f"hero {number}", owner=number)
    return HEROES


@command(14, public=True, timeout=60.0)
def measure(ctx, task: Task) -> dict:
    window = Window(task.seconds, task.watched)
    loop = get_loop if task.kind == "get" else call_loop
    greenlets = [gevent.spawn(loop, ctx, window, first) for first in range(task.in_flight)]
    gevent.sleep(WARM_UP)
    window.begin()
    gevent.sleep(window.seconds)
    window.end()
    gevent.joinall(greenlets, timeout=10, raise_error=True)
    return {"answers": window.counted, "seconds": window.took, "cpu": window.cpu}


def get_loop(ctx, window: Window, first: int) -> None:
    key = first * 7
    while not window.over:
        key = (key + 1) % HEROES
        if ctx.db.get(Hero, key + 1).owner != key + 1:
            raise AssertionError("another row than the one that was asked for")
        window.calls += 1


def call_loop(ctx, window: Window, _first: int) -> None:
    while not window.over:
        if ctx.call("echo", BODY) != BODY:
            raise AssertionError("the echo is not what was sent")
        window.calls += 1
