"""Row A5: peers that are gone without a word are found.

Over links in memory always; in full also in a network namespace, between real TCP stacks, where root is allowed. There
the cable is cut by making both ends believe in a neighbour that does not exist: nothing arrives, and nobody is told.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import gevent

from firefly_core import command, on_disconnect
from firefly_core.channel.limits import ChannelLimits
from firefly_core.testing import InProcessCluster, virtual_time
from tests.promises.far_end import FarEnd, Floor
from tests.promises.gate_clients import datapack, frame, hear, upgrade
from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import RunningGame, running_game, wait_until

__all__ = ["ROWS"]

MEMORY = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:11010", protocol = "json" },
  { url = "ws://127.0.0.1:11011/", protocol = "json", origins = ["none"] },
]
rate = "off"
resume_timeout = 0
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
"""
SMALL = 100
NOBODY = "02:00:00:00:00:01"
GONE = """
import time
from firefly_core import command, on_disconnect

@command(1, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    return uid

@on_disconnect
def gone(ctx) -> None:
    with open("gone.txt", "a") as file:
        file.write(f"{ctx.uid} {time.monotonic()}\\n")
"""
REAL = """
[firefly]
plugins = ["gate", "protocols"]
drain_timeout = 0.5
[servers.gate]
handlers = ["hall"]
[servers.gate.gate]
listen = [
  { url = "tcp://HOST:{json}", protocol = "json" },
  { url = "tcp://HOST:{datapack}", protocol = "datapack", codec = "json" },
  { url = "ws://HOST:{ws}/", protocol = "json", origins = ["none"] },
]
rate = "off"
resume_timeout = 0
trusted = ["10.0.0.0/8"]
"""


def in_memory(count: int) -> tuple[list[float], int, float]:
    """Cut `count` clients and a node off; gives when the gate knew of each, how many heard twice, and of the node."""
    left: dict[int, float] = {}
    twice = 0

    @command(1, public=True)
    def login(ctx: Any, uid: int) -> None:
        ctx.session.bind(uid)

    @on_disconnect
    def gone(ctx: Any) -> None:
        nonlocal twice
        twice += ctx.uid in left
        left[ctx.uid] = world.now

    @command(9)
    def unused(ctx: Any) -> None: ...

    handlers = {"gate": [login, gone], "world": [unused]}
    with virtual_time(seed=1) as world, InProcessCluster(MEMORY, handlers=handlers) as made:
        made.start()
        for uid in range(count):
            scheme = ("tcp", "ws")[uid % 2]
            made.connect(protocol="json", scheme=scheme, host=f"player-{uid}").request("login", uid)
            gevent.sleep(random.Random(uid).uniform(0, 0.5))
        assert made.network is not None
        begin = world.now
        for uid in range(count):
            made.network.cut(f"player-{uid}", "gate-1", both=True)
        made.network.cut("world-1", "gate-1", both=True)
        peer = made.kernel("gate").mesh.peers["world-1"]
        made.wait(lambda: not peer.connected, timeout=60)
        node = world.now - begin
        gevent.sleep(60)
        made.network.heal()
        return sorted(at - begin for at in left.values()), twice, node


# -------------------------------------------------------------------------------------------------- real stacks


class Namespace:
    """A network namespace behind a cable of its own."""

    def __init__(self) -> None:
        number = os.getpid() % 60_000
        self.name = f"firefly-{number}"
        self.device = f"ff{number}"
        net = f"10.{200 + number % 50}.{number // 50 % 256}"
        self.here, self.there = f"{net}.1", f"{net}.2"
        self.inside = ("ip", "netns", "exec", self.name)
        run("ip", "netns", "add", self.name)
        try:
            run("ip", "link", "add", self.device, "type", "veth", "peer", "name", "cable", "netns", self.name)
            run("ip", "address", "add", f"{self.here}/30", "dev", self.device)
            run("ip", "link", "set", self.device, "up")
            run(*self.inside, "ip", "address", "add", f"{self.there}/30", "dev", "cable")
            for device in ("cable", "lo"):
                run(*self.inside, "ip", "link", "set", device, "up")
        except BaseException:
            self.close()
            raise

    def cut(self) -> None:
        """Let nothing arrive, either way."""
        self._neighbour(("replace", NOBODY))

    def heal(self) -> None:
        """Let everything arrive again."""
        run("ip", "neigh", "flush", "dev", self.device, "nud", "permanent")
        run(*self.inside, "ip", "neigh", "flush", "dev", "cable", "nud", "permanent")

    def _neighbour(self, what: tuple[str, str]) -> None:
        verb, address = what
        how = ["lladdr", address, "nud", "permanent", "dev"]
        run("ip", "neigh", verb, self.there, *how, self.device)
        run(*self.inside, "ip", "neigh", verb, self.here, *how, "cable")

    def close(self) -> None:
        """Remove it; the cable goes with it."""
        run("ip", "netns", "delete", self.name)


def run(*command: str) -> None:
    """Run a command of iproute2."""
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def namespace() -> Iterator[Namespace | None]:
    """Give a namespace, or None where there can be none."""
    made = None
    if os.geteuid() == 0 and shutil.which("ip"):
        with contextlib.suppress(subprocess.CalledProcessError):
            made = Namespace()
    try:
        yield made
    finally:
        if made is not None:
            made.close()


def join(game: RunningGame, host: str, uid: int) -> socket.socket:
    """Log a player in, over one format or another."""
    kind = ("json", "datapack", "ws")[uid % 3]
    sock = socket.create_connection((host, game.ports[kind]), timeout=10)
    line = f'{{"id":1,"cmd":"login","body":{uid}}}'
    if kind == "datapack":
        sock.sendall(datapack(1, str(uid).encode()))
        hear(sock, str(uid).encode())
    elif kind == "json":
        sock.sendall(line.encode() + b"\n")
        hear(sock, b"\n")
    else:
        sock.sendall(upgrade())
        hear(sock, b"\r\n\r\n")
        sock.sendall(frame(line.encode()))
        hear(sock, b'"body":')
    return sock


def for_real(net: Namespace, count: int) -> tuple[list[float], int, float]:
    """Do the same with `count` players and a channel, between this namespace and another one."""
    toml = REAL.replace("HOST", net.there)
    with running_game(toml, {"hall": GONE}, only="gate", inside=net.inside) as game:
        floor = Floor(ChannelLimits())
        end = FarEnd(floor, inside=net.inside, host=net.there)
        socks = [join(game, net.there, uid) for uid in range(count)]
        channel = end.dial()
        assert channel.call("echo", 1) == 1
        file = game.folder / "gone.txt"
        net.cut()
        begin = time.monotonic()
        wait_until(lambda: channel.closed, "the channel", timeout=60)
        node = time.monotonic() - begin
        with contextlib.suppress(AssertionError):
            wait_until(lambda: file.exists() and len(file.read_text().splitlines()) >= count, "all", timeout=60)
        lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        net.heal()
        for sock in socks:
            sock.close()
        end.stop()
        floor.close()
    uids = [uid for uid, _ in lines]
    return sorted(float(at) - begin for _, at in lines), len(uids) - len(set(uids)), node


def a5_half_open(count: int) -> Outcome:
    """Cut `count` clients and a channel off without a word."""
    told = []
    kept = True
    players = 0
    parts = [("in memory", *in_memory(min(count, 500)))]
    if count >= SMALL:
        with namespace() as net:
            if net is not None:
                parts.append(("between network namespaces", *for_real(net, count)))
    for where, times, twice, node in parts:
        players += len(times)
        kept = kept and len(times) == min(count, 500) and not twice and times[-1] <= 33 and node <= 16
        told.append(
            f"{where} {len(times)} players found after {times[len(times) // 2]:.1f} s (half) and {times[-1]:.1f} s "
            f"(all), {twice} twice, a channel after {node:.1f} s"
        )
    if count >= SMALL and len(parts) == 1:
        told.append("network namespaces: not run here")
    return Outcome(players, "; ".join(told), kept)


ROWS = [Row("A5", "who is gone without a word is found", a5_half_open, 20, 500)]
