"""Rows A23 to A28 with real sockets and processes: servers that come in any order, come back, and are replaced."""

from __future__ import annotations

import itertools
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent

from firefly_core import command, on_start, remote
from firefly_core.channel.clock import SystemClock
from firefly_core.channel.deadlines import Deadlines
from firefly_core.channel.dialer import FACTOR, FIRST_DELAY, JITTER, LONGEST_DELAY, Dialer
from firefly_core.channel.limits import ChannelLimits
from firefly_core.channel.network import SocketNetwork
from firefly_core.channel.rpc import RpcChannel
from firefly_core.channel.runners import Runners
from firefly_core.channel.transport import Transport
from firefly_core.errors import FireflyError
from firefly_core.testing import FakeClient, InProcessCluster, virtual_time
from firefly_core.testing.client_wire import JsonWire
from firefly_core.wire.hello import Acceptor, Initiator, PeerIdentity
from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import RunningGame, free_ports, running_game, wait_until

__all__ = ["ROWS"]

SECRET = b"the secret of these promises...."
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


# ------------------------------------------------------------------------------------------------ dialers for real


class Wire:
    """Dialers and a root of this process, over real sockets."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.runners = Runners()
        self.deadlines = Deadlines(gevent.get_hub().loop, self.clock)
        self.network = SocketNetwork()
        self.random = random.Random(1)
        [self.port] = free_ports(1)
        self.dials: list[tuple[float, str]] = []
        """When a dial began, and when one had ended: `begin`, `failed` or `hello`."""
        self._listener: Any = None
        self._accepted: list[Any] = []
        self._dialers: list[Dialer] = []

    def open(self, on_accept: Callable[[Transport], None] | None = None) -> None:
        """Listen."""
        self._listener = self.network.listen("127.0.0.1", self.port, on_accept or self._accept)

    def shut(self) -> None:
        """Listen no more, and cut every connection."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        accepted, self._accepted = self._accepted, []
        for channel in accepted:
            channel.close("shut")

    def dialer(self, number: int, on_connected: Callable[[RpcChannel], None]) -> None:
        """Keep a channel to the root."""
        identity = PeerIdentity(f"world-{number}", "world", ("node",), self.random.getrandbits(64), 1)

        def make(transport: Transport, *, on_ready: Any, on_lost: Any) -> RpcChannel:
            hello = Initiator(identity, [SECRET], self.random.randbytes(32), None)
            return self._channel(transport, hello, on_lost, on_ready)

        made = Dialer(
            "127.0.0.1",
            self.port,
            network=self,
            clock=self.clock,
            random=random.Random(number),
            make_channel=make,
            on_connected=on_connected,
            on_disconnected=lambda *_: self.dials.append((self.clock.monotonic(), "lost")),
        )
        made.start()
        self._dialers.append(made)

    def dial(self, host: str, port: int, *, timeout: float) -> Transport:
        """Note when it begins and fails."""
        self.dials.append((self.clock.monotonic(), "begin"))
        try:
            return self.network.dial(host, port, timeout=timeout)
        except OSError:
            self.dials.append((self.clock.monotonic(), "failed"))
            raise

    def listen(self, *about: Any, **options: Any) -> Any:
        """Do what the sockets do."""
        return self.network.listen(*about, **options)

    def close(self) -> None:
        """End everything."""
        for dialer in self._dialers:
            dialer.stop()
        self.shut()
        gevent.sleep(0.05)
        self.deadlines.close()
        self.runners.close()

    def _accept(self, transport: Transport) -> None:
        root = PeerIdentity("gate-1", "gate", ("root",), 11, 1)
        acceptor = Acceptor(root, [SECRET], self.random.randbytes(32), None)
        channel = self._channel(transport, acceptor, lambda *_: None, None)
        self._accepted.append(channel)
        channel.start()

    def _channel(self, transport: Transport, hello: Any, on_lost: Any, on_ready: Any) -> RpcChannel:
        return RpcChannel(
            transport,
            self.runners,
            self.deadlines,
            lambda *_: None,
            limits=ChannelLimits(),
            on_lost=on_lost,
            on_ready=on_ready,
            hello=hello,
        )


def a23_real(count: int) -> Outcome:
    """For `count` seconds dial a server that refuses, and one that takes every connection and closes it at once."""
    gaps: list[float] = []
    misfits = 0
    worst = 0.0
    for kind in ("refuses", "closes"):
        wire = Wire()
        if kind == "closes":
            wire.open(lambda transport: transport.close())
        wire.dialer(1, lambda _: None)
        gevent.sleep(count / 2)
        begins = [at for at, what in wire.dials if what == "begin"]
        wire.close()
        for step, (one, other) in enumerate(itertools.pairwise(begins)):
            expected = min(FIRST_DELAY * FACTOR**step, LONGEST_DELAY)
            off = abs(other - one - expected) / expected
            gaps.append(other - one)
            # To connect and be refused takes a little itself, which is no part of the pause.
            misfits += off > JITTER + 0.03 / expected
            worst = max(worst, off)
    figure = f"{misfits} of {len(gaps)} pauses off, the worst by {worst:.1%}, in {count} s over real sockets"
    return Outcome(len(gaps), figure, not misfits and len(gaps) >= 4)


def a24_real(count: int) -> Outcome:
    """`count` dialers over real sockets lose their root for some seconds."""
    outage = 30.0 if count >= 50 else 1.0
    wire = Wire()
    connected: list[float] = []
    wire.open()
    try:
        for number in range(1, count + 1):
            wire.dialer(number, lambda _: connected.append(time.monotonic()))
        wait_until(lambda: len(connected) == count, "all of them")
        wire.shut()
        gevent.sleep(outage)
        connected.clear()
        back = time.monotonic()
        wire.open()
        wait_until(lambda: len(connected) == count, "all of them again", timeout=60)
    finally:
        wire.close()
    waits = sorted(at - back for at in connected)
    p99 = waits[min(count - 1, int(count * 0.99))]
    figure = f"{count} of {count} back after an outage of {outage:g} s, p99 {p99:.2f} s, over real sockets"
    return Outcome(count, figure, p99 <= 6.5)


# ------------------------------------------------------------------------------------------- one name, many processes


REJOIN = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
secret = "the secret of these promises...."
[servers.gate]
handlers = ["hall"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:{door}", protocol = "json" }
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
    Row("A23r", "coming back keeps to its schedule, on real sockets", a23_real, 2, 60),
    Row("A24r", "50 nodes come back on real sockets", a24_real, 10, 50),
    Row("A25", "servers may start in any order", a25_orders, 6, 120),
    Row("A28", "a name is taken over at once by its next process", a28_rejoin, 2, 100),
]
