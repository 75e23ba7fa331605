"""A gate with a door for every format and a root, in one virtual world, and strangers who send what they like.

`OpenHouse.visit` sends the steps of one stranger, and tells what became of him; it raises AssertionError where anybody
else felt it: the player who is served meanwhile, the node, the process's memory.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import gevent

from firefly_core import command, on_start, remote
from firefly_core.channel.transport import Transport
from firefly_core.testing import InProcessCluster, virtual_time

__all__ = ["FIN", "RST", "OpenHouse", "Stranger", "Visit", "open_house"]

PORTS = {"datapack": 11010, "json": 11011, "msgpack": 11012, "pomelo": 11013, "ws": 11014, "packed": 11015}
PORTS |= {"tls": 11016, "bodies": 11017, "root": 10000}
TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:11010", protocol = "datapack", codec = "json" },
  { url = "tcp://127.0.0.1:11011", protocol = "json" },
  { url = "tcp://127.0.0.1:11012", protocol = "msgpack" },
  { url = "tcp://127.0.0.1:11013", protocol = "pomelo" },
  { url = "ws://127.0.0.1:11014/", protocol = "json", origins = ["none"] },
  { url = "ws://127.0.0.1:11015/", protocol = "json", origins = ["none"], compression = true },
  { url = "tls://127.0.0.1:11016", protocol = "json", certificate = "PAPERS" },
  { url = "tcp://127.0.0.1:11017", protocol = "datapack", codec = "msgpack" },
]
rate = "off"
max_frame = 65536
login_frame = 65536
login_timeout = 20.0
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
[servers.spare.node]
roots = ["gate"]
"""
FIN, RST = "FIN", "RST"
Step = bytes | float | str
"""Bytes to send, seconds to wait, or how to hang up."""
MIB = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")
PATIENCE = 8.0
"""Virtual seconds after which whoever is still connected may stay."""


@command(1, public=True)
def login(ctx: Any, uid: int) -> None:
    """Log in."""
    ctx.session.bind(uid)


@command(203, public=True)
def echo(ctx: Any, value: Any) -> Any:
    """Give back what came."""
    return value


@on_start
def start(ctx: Any) -> list[Any]:
    """Keep which remotes were started."""
    return []


@remote("rest")
def rest(ctx: Any) -> None:
    """Take its time."""
    gevent.sleep(1)


@remote("work")
def work(ctx: Any, value: Any = None) -> Any:
    """Note that it was called."""
    ctx.state.append(value)
    return value


@attrs.define
class Visit:
    """What became of one stranger."""

    said: bytes = b""
    """What the house said to him."""
    closed: bool = False
    """Whether it hung up, or he did."""
    seconds: float = 0.0
    """How long it took."""
    counted: list[str] = attrs.Factory(list)
    """The reasons that were counted meanwhile, for which connections ended."""
    grown: int = 0
    """Bytes that the process grew by."""


class Stranger:
    """One raw connection."""

    def __init__(self, transport: Transport) -> None:
        self.visit = Visit()
        self._transport = transport
        transport.start(self._on_readable)

    def _on_readable(self) -> None:
        try:
            data = self._transport.recv(65536)
        except OSError:
            data = b""
        self.visit.said += data
        if not data:
            self.close()

    def send(self, data: bytes) -> None:
        """Send all of it, as fast as it is taken."""
        for _ in range(10_000):
            if self.visit.closed or not data:
                return
            try:
                data = data[self._transport.send(data) :]
            except BlockingIOError:
                gevent.sleep(0.01)
            except OSError:
                self.close()

    def finish(self) -> None:
        """Say that nothing more comes."""
        self._transport.finish()

    def close(self) -> None:
        """Hang up."""
        self.visit.closed = True
        self._transport.close()


class OpenHouse:
    """The house, its world, and the player inside."""

    def __init__(self, world: Any, cluster: InProcessCluster) -> None:
        self._world = world
        self._cluster = cluster
        self.visits = 0
        """Strangers so far."""
        self._player = cluster.connect(protocol="json", scheme="tcp", host="player")
        self._player.request("login", 1)
        gate = cluster.kernel("gate")
        self._tallies = (gate.services["gate"].counts.closed, gate.links.closed)
        self.executed: list[Any] = cluster.kernel("world").state
        """What strangers had executed at the node."""

    def dial(self, door: str) -> Transport:
        """Give a raw connection to a door."""
        assert self._cluster.network is not None
        self.visits += 1
        host = self._cluster.network.host(f"stranger-{self.visits}", address="127.0.0.2")
        return host.dial("127.0.0.1", PORTS[door], timeout=1)

    def visit(self, door: str, *steps: Step) -> Visit:
        """Let a stranger do these steps, and wait until nothing more happens to him."""
        memory, begin = resident(), self._world.now
        before = self._counts()
        stranger = Stranger(self.dial(door))
        for step in steps:
            self._take(stranger, step)
        gevent.sleep(0.1)
        visit = stranger.visit
        while not visit.closed and self._world.now - begin < PATIENCE:
            gevent.sleep(0.5)
        visit.seconds = self._world.now - begin
        stayed = not visit.closed
        stranger.close()
        gevent.sleep(0.1)
        visit.closed = not stayed
        visit.counted = sorted(name for name, count in (self._counts() - before).items() if count)
        visit.grown = resident() - memory
        assert b"Traceback" not in visit.said
        self.check()
        sent = sum(len(step) for step in steps if isinstance(step, bytes))
        assert visit.grown <= 2 * MIB + 4 * sent
        return visit

    def check(self) -> None:
        """Raise AssertionError unless everybody else is served as before."""
        assert self._player.request("echo", self.visits, timeout=5) == self.visits
        assert self._cluster.kernel("gate").mesh.peers["world-1"].connected

    def _take(self, stranger: Stranger, step: Step) -> None:
        assert self._cluster.network is not None
        if isinstance(step, bytes):
            stranger.send(step)
        elif isinstance(step, float):
            gevent.sleep(step)
        elif step == FIN:
            stranger.finish()
        else:
            self._cluster.network.reset(f"stranger-{self.visits}")

    def _counts(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for tally in self._tallies:
            counts.update(dict(tally.items()))
        return counts


def resident() -> int:
    """Give the bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@contextmanager
def open_house(papers: Path) -> Iterator[OpenHouse]:
    """Open a house whose TLS door shows the certificate and key in the file `papers`."""
    handlers = {"gate": [login, echo, rest], "world": [start, work], "spare": []}
    with (
        virtual_time(seed=1, limit=1e7) as world,
        InProcessCluster(TOML.replace("PAPERS", str(papers)), handlers=handlers) as cluster,
    ):
        cluster.start()
        # Known, and away: somebody else may claim to be it.
        cluster.stop("spare")
        yield OpenHouse(world, cluster)
