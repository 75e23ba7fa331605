"""A storm: a whole cluster of real processes is played on while one of them after the other is killed.

Two gates that share a port, two worlds, and a hub with the directory and the db-cache, all under `firefly-run`; the
players are in a process of their own (tests/assets/orchard).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import gevent
import msgpack

from tests.ports import free_ports

__all__ = ["PROCESSES", "Report", "storm"]

ROOT = Path(__file__).parents[2]
GAME = ROOT / "tests" / "assets" / "orchard"
PROCESSES = ("hub-1", "gate-1", "gate-2", "world-1", "world-2")
ALLOWED = frozenset(("unavailable", "disconnected", "reconnecting"))
"""What a player may see of a server that dies: that it is away, that what he sent may or may not have been executed,
and that his client has had no connection for ten seconds because every gate was away."""
SLICE = 50
EMPTY = (
    "gate.sessions", "gate.players", "gate.groups", "gate.resume_waiting", "gate.resume_bytes", "gate.unsent_bytes",
    "node.sessions", "node.commands_waiting", "directory.players", "directory.kept",
)  # fmt: skip
"""What must be zero when everybody has left."""
TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols", "db-cache"]
directory = "hub"
give_up = "off"
[servers.hub]
handlers = ["counts"]
[servers.hub.root]
listen = "tcp://127.0.0.1:{hub}"
open = true
[servers.hub.db-cache]
database = "sqlite:///var/orchard.db"
models = ["baskets"]
[servers.gate]
replicas = 2
handlers = ["counts"]
[servers.gate.gate]
listen = {{ url = "tcp://127.0.0.1:{gate}", protocol = "json" }}
[servers.gate.root]
listen = "tcp://127.0.0.1:{root}"
[servers.world]
replicas = 2
handlers = ["orchard", "counts"]
[servers.world.node]
roots = ["gate", "hub"]
[servers.world.db-cache]
owner = "hub"
models = ["baskets"]
"""


@attrs.define
class Report:
    """What came of a storm."""

    players: int
    kills: int
    sent: int
    counted: int
    """Catches that were answered."""
    lost: int
    """Catches that were answered and are not stored."""
    twice: int
    """Catches that are stored twice."""
    inversions: int
    """Catches that are stored behind a later one of their player."""
    errors: Mapping[str, int]
    events: Mapping[str, int]
    faults: list[str]
    longest: float
    """Seconds that one player was without an answer, at most."""
    left: Mapping[str, float]
    """What the servers still hold of players who have left; empty if nothing."""
    resident_mib: float
    """Memory of the largest server at the end."""

    @property
    def resumes(self) -> int:
        """Sessions that went on over a new connection, through the same gate or another."""
        return self.events["state open"] - self.events["logins"]

    @property
    def kept(self) -> bool:
        """Whether all that was promised was kept."""
        bad = self.lost or self.twice or self.inversions or self.faults or self.left or set(self.errors) - ALLOWED
        return not bad and self.counted > 0

    @property
    def figure(self) -> str:
        """What was counted, in one line."""
        return (
            f"{self.kills} kills, {self.players} players, {self.sent:,} catches sent, {self.counted:,} answered: "
            f"{self.lost} lost, {self.twice} counted twice, {self.inversions} out of order; "
            f"errors {dict(self.errors)}; {self.resumes:,} resumes, "
            f"{self.events['logins'] - self.players:,} new logins, longest without an answer {self.longest:.1f} s; "
            f"sessions left {dict(self.left) or 0}; "
            f"largest server {self.resident_mib:.0f} MiB" + (f"; {self.faults[:5]}" if self.faults else "")
        )


class Cluster:
    """The orchard by `firefly-run`, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.hub, self.gate, self.root, _ = free_ports(4)  # each gate has a root, on the next port
        self.log = folder / "log.txt"
        shutil.copytree(GAME, folder, dirs_exist_ok=True)
        (folder / "firefly.toml").write_text(TOML.format(hub=self.hub, gate=self.gate, root=self.root))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "firefly_core.run"],
                cwd=folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
            )
        wait_until(lambda: "all servers ready" in self.log.read_text(), self.log.read_text, timeout=60)

    def pids(self) -> dict[str, int]:
        """Give the newest pid of each process that was ready."""
        return {name: int(pid) for name, pid in re.findall(r"(\S+) is ready pid=(\d+)", self.log.read_text())}

    def ask(self, method: str, *params: Any) -> Any:
        """Call an open remote; any MessagePack-RPC client can. Gives None while it is not there."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.hub), timeout=5) as line:
            line.sendall(msgpack.packb([0, 1, method, params]))
            unpacker = msgpack.Unpacker(strict_map_key=False)
            while data := line.recv(65536):
                unpacker.feed(data)
                for _, _, error, result in unpacker:
                    return None if error else result
        return None

    def stop(self) -> None:
        """Stop it in order."""
        self._process.terminate()
        self._process.wait(timeout=30)


def storm(bots: int, kills: int, *, every: float = 5.0, seed: int = 1, victims: Sequence[str] = ()) -> Report:
    """Let `bots` play while every so many seconds a process is killed, at random or as named; gives what came of it."""
    with TemporaryDirectory(prefix="orchard-") as folder:
        cluster = Cluster(Path(folder))
        try:
            with _crowd(cluster.gate, bots, seed) as crowd:
                assert crowd.stdout is not None
                assert crowd.stdin is not None
                crowd.stdout.readline()
                gevent.sleep(every)
                chance = random.Random(seed)

                def choose(number: int, alive: dict[str, int]) -> str | None:
                    return victims[number] if victims else chance.choice([*alive]) if alive else None

                done = _rage(cluster, kills, every, choose)
                crowd.stdin.write("stop\n")
                crowd.stdin.flush()
                told = json.loads(crowd.stdout.readline())
            return _report(cluster, bots, done, told)
        finally:
            cluster.stop()


def _rage(cluster: Cluster, kills: int, every: float, choose: Callable[[int, dict[str, int]], str | None]) -> int:
    """Kill one process after the other; gives how many were killed."""
    killed: set[int] = set()
    for number in range(kills):
        alive = {name: pid for name, pid in sorted(cluster.pids().items()) if pid not in killed}
        name = choose(number, alive)
        if name in alive:
            killed.add(alive[name])
            os.kill(alive[name], signal.SIGKILL)
        gevent.sleep(every)
    return len(killed)


@contextlib.contextmanager
def _crowd(port: int, bots: int, seed: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(GAME / "crowd.py"), f"tcp://127.0.0.1:{port}", str(bots), str(seed)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}
    crowd = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
    try:
        yield crowd
        crowd.wait(timeout=30)
    finally:
        if crowd.poll() is None:
            crowd.kill()
        for pipe in (crowd.stdin, crowd.stdout):
            assert pipe is not None
            pipe.close()


def _report(cluster: Cluster, bots: int, kills: int, told: dict[str, Any]) -> Report:
    counts = _settled(cluster)
    stored: dict[int, list[int]] = {}
    for first in range(1, bots + 1, SLICE):
        for player, _, numbers in cluster.ask("baskets", first, min(first + SLICE, bots + 1)):
            stored[player] = [int(number) for number in numbers.split()]
    counted = {int(player): numbers for player, numbers in told["counted"].items()}
    return Report(
        players=bots,
        kills=kills,
        sent=told["sent"],
        counted=sum(map(len, counted.values())),
        lost=sum(len(set(numbers) - set(stored.get(player, ()))) for player, numbers in counted.items()),
        twice=sum(len(numbers) - len(set(numbers)) for numbers in stored.values()),
        inversions=sum(a > b for numbers in stored.values() for a, b in itertools.pairwise(numbers)),
        errors=told["errors"],
        events=told["events"],
        faults=told["faults"],
        longest=told["longest"],
        left={name: value for name, value in counts.items() if value and name.partition(" ")[2] in EMPTY},
        resident_mib=max(value for name, value in counts.items() if name.endswith("resident_mib")),
    )


def _settled(cluster: Cluster) -> dict[str, float]:
    """Give every server's counts, as `gate-1 gate.sessions`, once nothing is left, or as they are after a while."""
    counts: dict[str, float] = {}

    def settled() -> bool:
        for process in PROCESSES:
            asked = cluster.ask("counts.of", process)
            if asked is None:
                return False
            counts.update({f"{process} {name}": value for name, value in asked.items()})
        return not any(value for name, value in counts.items() if name.partition(" ")[2] in EMPTY)

    with contextlib.suppress(AssertionError):
        wait_until(settled, lambda: "the counts", timeout=30, pause=0.2)
    assert {name.partition(" ")[0] for name in counts} == set(PROCESSES), "not every server says what it holds"
    return counts


def wait_until(condition: Callable[[], Any], what: Callable[[], str], timeout: float = 30, pause: float = 0.05) -> None:
    """Wait until `condition()` is true; raises AssertionError with `what()` when it does not become so in time."""
    ends = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < ends, what()
        gevent.sleep(pause)
