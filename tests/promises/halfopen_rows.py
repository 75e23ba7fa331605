"""Rows A5 and C5: peers that are gone without a word are found.

Over links in memory always; in full also in a network namespace, between real TCP stacks, where root is allowed.
"""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections import Counter
from typing import Any

import gevent

from firefly_core import command, on_disconnect
from firefly_core.channel.dialer import Dialer
from firefly_core.channel.limits import ChannelLimits
from firefly_core.errors import Disconnected
from firefly_core.testing import InProcessCluster, virtual_time
from tests.promises.far_end import FarEnd, Floor
from tests.promises.gate_clients import datapack, frame, hear, upgrade
from tests.promises.ledger import Outcome, Row
from tests.promises.namespace import Namespace, namespace
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


# ----------------------------------------------------------------------------------------- a cable between servers


class Cut:
    """What one channel's user sees of a cable that is cut."""

    def __init__(self, dialer: Dialer) -> None:
        channel = dialer.wait_connected(10)
        assert channel is not None
        self.dialer = dialer
        self.channel = channel
        self.ended = 0.0
        """Seconds until the call that was under way had ended."""
        self.outcome = ""
        self.refused = 0.0
        """Seconds that the next call took to be refused."""

    def run(self) -> None:
        """Call once more, and after that call's end once again."""
        begin = time.monotonic()
        try:
            self.channel.call("echo", 1, timeout=100)
            self.outcome = "value"
        except Disconnected as error:
            self.outcome = "sent" if error.sent else "unsent"
        self.ended = time.monotonic() - begin
        begin = time.perf_counter()
        try:
            self.channel.call("echo", 1)
        except Disconnected as error:
            self.outcome += "" if error.sent else ", unsent"
        self.refused = time.perf_counter() - begin


def c5_cable(count: int) -> Outcome:
    """Cut the cable of `count` channels for a minute."""
    with namespace() as net:
        if net is None:
            return Outcome(0, "network namespaces: not run here", True)
        floor = Floor(ChannelLimits())
        end = FarEnd(floor, inside=net.inside, host=net.there)
        dialers = [floor.keep(end.port, f"world-{number}", net.there) for number in range(1, count + 1)]
        try:
            cuts = [Cut(dialer) for dialer in dialers]
            net.cut()
            begin = time.monotonic()
            gevent.joinall([gevent.spawn(cut.run) for cut in cuts], timeout=60)
            gevent.sleep(max(0.0, begin + 60 - time.monotonic()))
            net.heal()
            healed = time.monotonic()
            wait_until(lambda: all(dialer.channel is not None for dialer in dialers), "all again", timeout=30)
            back = time.monotonic() - healed
        finally:
            for dialer in dialers:
                dialer.stop()
            end.stop()
            floor.close()
    found = sorted(cut.ended for cut in cuts)
    refused = max(cut.refused for cut in cuts) * 1000
    outcomes = Counter(cut.outcome for cut in cuts)
    figure = (
        f"{count} channels over a cable that was cut for 60 s: their calls ended after {found[0]:.1f} to "
        f"{found[-1]:.1f} s ({dict(outcomes)}), the next ones at once ({refused:.2f} ms at most); all back after "
        f"{back:.1f} s"
    )
    return Outcome(count, figure, found[-1] <= 15 and set(outcomes) == {"sent, unsent"} and refused <= 5 and back <= 10)


ROWS = [
    Row("A5", "who is gone without a word is found", a5_half_open, 20, 500),
    Row("C5", "a cut cable costs the calls that were under way, and no waiting after that", c5_cable, 0, 20),
]
