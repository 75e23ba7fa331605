"""Rows A25 and A28: servers that come in any order, and are replaced; in memory and as processes."""

from __future__ import annotations

import itertools
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import gevent

from firefly_core import command, on_start, remote
from firefly_core.channel.network import SocketNetwork
from firefly_core.errors import FireflyError
from firefly_core.testing import FakeClient, InProcessCluster, virtual_time
from firefly_core.testing.client_wire import JsonWire
from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import RunningGame, free_ports, running_game, wait_until

__all__ = ["ROWS"]

FIVE = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
secret = "the secret of these promises...."
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:{door}", protocol = "json" }
rate = "off"
[servers.gate.root]
listen = "tcp://127.0.0.1:{gate}"
[servers.hub.root]
listen = "tcp://127.0.0.1:{hub}"
[servers.world]
handlers = ["world"]
[servers.world.node]
roots = ["gate", "hub"]
[servers.ranking]
handlers = ["ranking"]
[servers.ranking.node]
roots = ["hub"]
[servers.lobby.gate]
listen = { url = "tcp://127.0.0.1:{lobby}", protocol = "json" }
[servers.lobby.root]
listen = "tcp://127.0.0.1:{lobbyroot}"
"""
SERVERS = ("gate", "hub", "world", "ranking", "lobby")
WORLD = """
from firefly_core import command

@command(1, public=True)
def score(ctx, points: int) -> int:
    return ctx.call("ranking.double", points)
"""
RANKING = """
from firefly_core import remote

@remote("ranking.double")
def double(ctx, points: int) -> int:
    return 2 * points
"""


@on_start
def start(ctx: Any) -> None: ...


@command(1, public=True)
def score(ctx: Any, points: int) -> int:
    """What a client asks for needs all of the way: gate, world, hub, ranking, and back."""
    return int(ctx.call("ranking.double", points))


@remote("ranking.double")
def double(ctx: Any, points: int) -> int:
    """Give twice as much."""
    return 2 * points


# ------------------------------------------------------------------------------------------------------ any order


def one_order(order: tuple[str, ...]) -> float:
    """Start five servers in this order, in virtual time; give the seconds until a command over all of them works."""
    handlers = {"gate": [start], "hub": [start], "world": [score], "ranking": [double], "lobby": [start]}
    toml = FIVE
    for number, name in enumerate(("door", "gate", "hub", "lobby", "lobbyroot")):
        toml = toml.replace(f"{{{name}}}", str(10_000 + number))
    for name in ("world", "ranking"):
        toml = toml.replace(f'[servers.{name}]\nhandlers = ["{name}"]\n', "")
    with virtual_time(seed=1) as world, InProcessCluster(toml, handlers=handlers) as cluster:
        chance = random.Random(str(order))
        for name in order:
            gevent.sleep(chance.uniform(0, 2))
            cluster.start(name, wait=False)
        begin = world.now
        client = cluster.connect("gate")
        wait_answer(client, "score", 21, 42, 20.0, lambda: world.now)
        return world.now - begin


def wait_answer(client: FakeClient, command: str, body: Any, answer: Any, limit: float, now: Any) -> None:
    """Ask until the answer is right, or the time is over."""
    ends = now() + limit
    while now() < ends:
        try:
            if client.request(command, body, timeout=1) == answer:
                return
        except FireflyError:
            gevent.sleep(0.02)


def real_order(order: tuple[str, ...]) -> float:
    """Do the same with five processes."""
    ports = dict(zip(("door", "gate", "hub", "lobby", "lobbyroot"), free_ports(5), strict=True))
    toml = FIVE
    for name, port in ports.items():
        toml = toml.replace(f"{{{name}}}", str(port))
    games: list[RunningGame] = []
    with tempfile.TemporaryDirectory(prefix="orders-") as folder:
        try:
            for name in order:
                gevent.sleep(random.uniform(0, 0.5))
                modules = {"world": WORLD, "ranking": RANKING}
                games.append(RunningGame(Path(folder), toml, modules, only=name, wait=False))
            begin = time.monotonic()
            wait_until(lambda: reachable(ports["door"]), "the gate")
            client = FakeClient(SocketNetwork(), f"tcp://127.0.0.1:{ports['door']}", JsonWire(stream=True))
            wait_answer(client, "score", 21, 42, 30.0, time.monotonic)
            client.close()
            return time.monotonic() - begin
        finally:
            for game in games:
                game.stop()


def reachable(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        SocketNetwork().dial("127.0.0.1", port, timeout=1).close()
    except OSError:
        return False
    return True


def a25_orders(count: int) -> Outcome:
    """Start five servers in `count` of their 120 orders; with all of them, some orders as processes too."""
    orders = list(itertools.permutations(SERVERS))
    chosen = orders if count >= len(orders) else random.Random(1).sample(orders, count)
    took = [one_order(order) for order in chosen]
    real = [real_order(order) for order in random.Random(2).sample(orders, 20)] if count >= len(orders) else []
    healthy = sum(seconds <= 10 for seconds in took)
    figure = f"{healthy} of {len(took)} orders healthy, the slowest after {max(took):.2f} s"
    if real:
        figure += f"; as processes {sum(seconds <= 10 for seconds in real)} of {len(real)}, {max(real):.2f} s"
    return Outcome(len(took) + len(real), figure, all(seconds <= 10 for seconds in took) and all(r <= 50 for r in real))


# ------------------------------------------------------------------------------------------- one name, many processes


REJOIN = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
secret = "the secret of these promises...."
[servers.gate]
handlers = ["hall"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:{door}", protocol = "json" }
login_timeout = 3600.0
rate = "off"
[servers.gate.root]
listen = "tcp://127.0.0.1:{root}"
[servers.world]
handlers = ["world"]
[servers.world.node]
roots = ["gate"]
"""
HALL = """
from firefly_core import command

@command(90, public=True)
def peers(ctx) -> list:
    mesh = ctx._kernel.mesh
    return [[peer.name, peer.connected, peer.announced, peer.epoch] for peer in mesh.peers.values()]
"""
ECHO = """
from firefly_core import command

@command(1, public=True)
def echo(ctx, value: int) -> int:
    return value
"""


def a28_rejoin(count: int) -> Outcome:
    """Kill -9 a node `count` times; each time its successor takes its place."""
    waits: list[float] = []
    ghosts = 0
    modules = {"hall": HALL, "world": ECHO}
    with running_game(REJOIN, modules, only="gate") as gate:
        client = FakeClient(SocketNetwork(), f"tcp://127.0.0.1:{gate.ports['door']}", JsonWire(stream=True))
        toml = (gate.folder / "firefly.toml").read_text()
        for number in range(count):
            os.truncate(gate.log, 0)
            node = RunningGame(gate.folder, toml, modules, only="world")
            ready = time.monotonic()
            wait_answer(client, "echo", number, number, 20.0, time.monotonic)
            waits.append(time.monotonic() - ready)
            found = client.request("peers")
            ghosts += len(found) != 1 or found[0][1:3] != [True, True]
            node.signal(signal.SIGKILL)
            node.process.wait()
        client.close()
    waits.sort()
    p99 = waits[min(count - 1, int(count * 0.99))]
    figure = f"{count} kills: back p99 {p99 * 1000:.0f} ms after it was ready, {ghosts} ghosts"
    return Outcome(count, figure, not ghosts and p99 <= 5.0)


ROWS = [
    Row("A25", "servers may start in any order", a25_orders, 6, 120),
    Row("A28", "a name is taken over at once by its next process", a28_rejoin, 2, 100),
]
