"""Row A58: players who come, play, leave, are cut off and come back, for as long as one likes; what grows is told."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import gevent

from firefly_core.channel.network import SocketNetwork
from firefly_core.errors import FireflyError
from firefly_core.testing import FakeClient
from firefly_core.testing.client_wire import JsonWire
from tests.promises.ledger import Outcome, Row
from tests.promises.operated_game import OperatedGame, operated_game
from tests.promises.running_game import wait_until

__all__ = ["ROWS"]

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols", "db-cache", "admin"]
secret = "the secret of these promises...."
log_level = "error"
[servers.gate]
handlers = ["figures"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:{door}", protocol = "json" }
resume_timeout = 0.3
[servers.gate.root]
listen = "tcp://127.0.0.1:{root}"
open = true
[servers.world]
handlers = ["world", "figures"]
[servers.world.node]
roots = ["gate"]
[servers.world.db-cache]
database = "sqlite:///var/soak.db"
models = ["heroes"]
[servers.admin]
handlers = ["figures"]
[servers.admin.admin]
listen = "http://127.0.0.1:{admin}"
interval = 5.0
history = 60
"""
HEROES = """
from firefly_dbcache import CachedModel
from peewee import IntegerField, TextField

class Hero(CachedModel):
    name = TextField()
    gold = IntegerField(default=0)
"""
WORLD = """
from firefly_core import command, every, on_start, push
from heroes import Hero

@on_start
def start(ctx):
    for number in range(200):
        ctx.db.create(Hero, name=f"hero{number}")

told = push(2001, name="told")

@command(1, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    ctx.group("all").join(ctx.session)
    return uid

@command(2)
def work(ctx, gold: int) -> int:
    hero = ctx.db.get(Hero, ctx.uid % 200 + 1)
    ctx.db.add(Hero, hero.id, gold=gold)
    ctx.session.data["gold"] = gold
    return ctx.call("figures.double", gold, to="gate-1")

@command(3)
def shout(ctx, text: str):
    ctx.group("all").push(told, text)

@every(0.2)
def tick(ctx):
    ctx.group("all").push(told, "tick", policy="droppable")
"""
FIGURES = """
import gc, os
from collections import Counter
from greenlet import greenlet
from firefly_core import remote

@remote("figures.double")
def double(ctx, number: int) -> int:
    return 2 * number

@remote("figures.own")
def own(ctx) -> dict:
    gc.collect()
    kinds = Counter(type(each).__qualname__ for each in gc.get_objects())
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * 4096
    greenlets = sum(isinstance(each, greenlet) and not each.dead for each in gc.get_objects())
    files = len(os.listdir("/proc/self/fd"))
    return {"resident": resident, "files": files, "greenlets": greenlets, "kinds": dict(kinds)}

@remote("figures.sessions", open=True)
def sessions(ctx) -> float:
    return ctx._kernel.statistics()["gate"]["sessions"]

@remote("figures.of", open=True)
def of(ctx, process: str) -> dict:
    return ctx.call("figures.own", to=process)
"""
SERVERS = ("gate-1", "world-1", "admin-1")
PLAYERS = 12
PAUSE = 0.1
SLOPE = 1.0
"""MiB an hour that a server may grow by."""
LONG = 900
"""Seconds from which on the slope means something."""


@attrs.define
class Tally:
    """What the players have counted."""

    sessions: int = 0
    commands: int = 0
    resumed: int = 0
    errors: list[str] = attrs.Factory(list)


class Player:
    """Comes, plays for some seconds, and leaves in one of three ways; then the next one comes."""

    def __init__(self, url: str, number: int, tally: Tally) -> None:
        self._url = url
        self._chance = random.Random(number)
        self._number = number
        self._tally = tally

    def run(self) -> None:
        """Play for ever."""
        while True:
            try:
                self._play()
            except FireflyError as error:
                self._tally.errors.append(repr(error))
                gevent.sleep(0.5)

    @contextmanager
    def _connected(self) -> Iterator[FakeClient]:
        client = FakeClient(SocketNetwork(), self._url, JsonWire(stream=True))
        try:
            yield client
        finally:
            client.abort() if self._chance.random() < 0.5 else client.close()

    def _play(self) -> None:
        self._number += 1000
        with self._connected() as client:
            client.request("login", self._number)
            self._tally.sessions += 1
            self._work(client)
            comes_back = self._chance.random() < 0.3
            token = client.request("firefly.token")["token"] if comes_back else ""
        if comes_back:
            with self._connected() as client:
                client._number = 1000  # numbers go on: the gate repeats answers that it does not know to have arrived
                client.request("firefly.resume", {"token": token})
                self._tally.resumed += 1
                self._work(client)

    def _work(self, client: FakeClient) -> None:
        for number in range(self._chance.randrange(5, 40)):
            if self._chance.random() < 0.05:
                client.request("shout", "x" * self._chance.randrange(200))
            elif client.request("work", number) != 2 * number:
                self._tally.errors.append("a wrong answer")
            self._tally.commands += 1
            gevent.sleep(self._chance.uniform(0, 2 * PAUSE))


@contextmanager
def crowd(game: OperatedGame, tally: Tally) -> Iterator[None]:
    """Let players play; at the end they are gone."""
    url = f"tcp://127.0.0.1:{game.ports['door']}"
    players = [gevent.spawn(Player(url, number, tally).run) for number in range(PLAYERS)]
    try:
        yield
    finally:
        gevent.killall(players)


def is_playable(game: OperatedGame) -> bool:
    """Whether a login is answered: the world is ready before the gate has heard of its commands."""
    client = FakeClient(SocketNetwork(), f"tcp://127.0.0.1:{game.ports['door']}", JsonWire(stream=True))
    try:
        client.request("login", 0)
    except FireflyError:
        return False
    finally:
        client.close()
    return True


def look(game: OperatedGame) -> dict[str, dict[str, Any]]:
    """Ask every server for its figures."""
    return {name: game.call("root", "figures.of", name) for name in SERVERS}


def idle(game: OperatedGame, rest: float) -> dict[str, dict[str, Any]]:
    """Give every server's figures `rest` seconds after the last session has ended."""

    def alone() -> bool:
        return not game.call("root", "figures.sessions")

    wait_until(alone, "nobody is left", 60.0, 0.1)
    gevent.sleep(rest)
    return look(game)


def slope(samples: list[tuple[float, int]]) -> float:
    """Give the rise in MiB an hour of the line that fits best."""
    count = len(samples)
    mean_time, mean = sum(at for at, _ in samples) / count, sum(value for _, value in samples) / count
    spread = sum((at - mean_time) ** 2 for at, _ in samples)
    rise = sum((at - mean_time) * (value - mean) for at, value in samples)
    return rise / spread * 3600 / 2**20 if spread else 0.0


def grown(before: dict[str, int], after: dict[str, int]) -> str:
    """Name the kinds of objects of which there are most more than before."""
    more = {kind: count - before.get(kind, 0) for kind, count in after.items()}
    top = sorted(((count, kind) for kind, count in more.items() if count > 0), reverse=True)[:5]
    return ", ".join(f"{kind} +{count}" for count, kind in top) or "none"


def watch(game: OperatedGame, seconds: float) -> dict[str, list[tuple[float, int]]]:
    """Look at every server's memory again and again; gives the samples of the second half."""
    samples: dict[str, list[tuple[float, int]]] = {name: [] for name in SERVERS}
    began = time.monotonic()
    while (at := time.monotonic() - began) < seconds:
        for name in SERVERS if at >= seconds / 2 else ():
            samples[name].append((at, game.resident(name)))
        gevent.sleep(min(5.0, seconds / 10))
    return samples


def a58_soak(count: int) -> Outcome:
    """Play for `count` seconds; the memory of the second half is looked at, and what is left when all have gone."""
    tally = Tally()
    modules = {"world": WORLD, "heroes": HEROES, "figures": FIGURES}
    with operated_game(TOML, modules) as game:
        wait_until(lambda: is_playable(game), "the gate sends commands to the world")
        with crowd(game, tally):
            gevent.sleep(min(30.0, count / 4))  # until every path has been taken once
        rest = 20.0 if count >= LONG else 0.0  # what was armed for ten seconds, such as a call's deadline, is over then
        before = idle(game, rest)
        with crowd(game, tally):
            samples = watch(game, count)
        after = idle(game, rest)
    slopes = {name: slope(each) for name, each in samples.items()}
    worst = max(slopes, key=lambda name: slopes[name])
    files, greenlets = (
        max(abs(after[name][what] - before[name][what]) for name in SERVERS) for what in ("files", "greenlets")
    )
    first = "".join(f" ({error})" for error in tally.errors[:1])
    figure = (
        f"{tally.sessions:,} sessions, {tally.commands:,} commands, {tally.resumed:,} resumes, "
        f"{len(tally.errors)} errors{first} in {count / 60:.1f} min; "
        f"memory {', '.join(f'{n} {s:+.2f}' for n, s in slopes.items())} MiB/h; "
        f"files at most {files} more or less, greenlets {greenlets}; "
        f"objects of {worst}: {grown(before[worst]['kinds'], after[worst]['kinds'])}"
    )
    flat = count < LONG or all(rise <= SLOPE for rise in slopes.values())
    return Outcome(count, figure, flat and files <= 5 and greenlets <= 5 and not tally.errors and tally.commands > 0)


ROWS = [Row("A58", "nothing leaks in a soak (tries: seconds)", a58_soak, 1, 1800)]
