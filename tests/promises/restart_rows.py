"""Rows A47 and A48: servers that start anew under load, and who notices."""

from __future__ import annotations

import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import gevent
from gevent.pool import Pool

from firefly_core.channel.network import SocketNetwork
from firefly_core.errors import FireflyError
from firefly_core.testing import FakeClient
from firefly_core.testing.client_wire import JsonWire
from tests.promises.ledger import Outcome, Row
from tests.promises.operated_game import OperatedGame, operated_game
from tests.promises.running_game import wait_until

__all__ = ["ROWS"]

FIVE = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
log_level = "warning"
[servers.gate]
handlers = ["near"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:{door}", protocol = "json" }
rate = "off"
login_timeout = 3600.0
[servers.gate.root]
listen = "tcp://127.0.0.1:{root}"
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
[servers.lobby]
handlers = ["near"]
[servers.lobby.gate]
listen = { url = "tcp://127.0.0.1:{lobby}", protocol = "json" }
rate = "off"
login_timeout = 3600.0
"""
MODULES = {
    "near": "from firefly_core import command\n@command(1, public=True)\ndef near(ctx, n: int) -> int:\n    return n\n",
    "world": """
from firefly_core import command
@command(2, public=True)
def there(ctx, n: int) -> int:
    return n
@command(3, public=True)
def far(ctx, n: int) -> int:
    return ctx.call("ranking.same", n)
""",
    "ranking": """
from firefly_core import remote
@remote("ranking.same")
def same(ctx, n: int) -> int:
    return n
""",
}
PLAYERS = 4
"""Players of each kind."""


@attrs.define
class Kind:
    """What some players ask for, by which port, and which servers that needs."""

    command: str
    door: str
    needs: frozenset[str]
    answered: float = 0.0
    """When the last answer came."""
    errors: Counter[str] = attrs.Factory(Counter)


def kinds() -> list[Kind]:
    """Give what players do in the game of five servers."""
    return [
        Kind("near", "door", frozenset({"gate"})),
        Kind("there", "door", frozenset({"gate", "world"})),
        Kind("far", "door", frozenset({"gate", "world", "hub", "ranking"})),
        Kind("near", "lobby", frozenset({"lobby"})),
    ]


def play(kind: Kind, port: int) -> None:
    """Ask again and again, and connect again and again."""
    number = 0
    while True:
        client = None
        try:
            client = FakeClient(SocketNetwork(), f"tcp://127.0.0.1:{port}", JsonWire(stream=True))
            while True:
                number += 1
                assert client.request(kind.command, number) == number
                kind.answered = time.monotonic()
                gevent.sleep(0.02)
        except (FireflyError, OSError) as error:
            kind.errors[getattr(error, "code", "") or type(error).__name__] += 1
            gevent.sleep(0.02)
        finally:
            if client is not None:
                client.close()


@contextmanager
def played(game: OperatedGame) -> Iterator[list[Kind]]:
    """Let players of every kind play, once all of them get answers."""
    found = kinds()
    players = [gevent.spawn(play, kind, game.ports[kind.door]) for kind in found for _ in range(PLAYERS)]
    try:
        wait_until(lambda: all(kind.answered for kind in found), "everybody gets answers", 30)
        gevent.sleep(0.3)
        for kind in found:
            kind.errors.clear()
        yield found
    finally:
        gevent.killall(players)


def disturb(game: OperatedGame, server: str, found: list[Kind], *, kill: bool) -> float:
    """Kill a server, or have it started anew; gives the seconds until everything works again."""
    process = f"{server}-1"
    starts = game.wait_state(process, "ready")["starts"]
    began = time.monotonic()
    if kill:
        game.signal(signal.SIGKILL, process)
    else:
        game.run("restart", server, "--force")
    wait_until(
        lambda: (told := game.states().get(process)) and told["starts"] > starts and told["state"] == "ready", server
    )
    ready = time.monotonic()
    wait_until(lambda: all(kind.answered > ready for kind in found), f"all after {server}")
    return time.monotonic() - began


def a47_one_for_one(count: int) -> Outcome:
    """Let `count` servers, one after another, be killed or started anew while everything is played on."""
    disturbed: Counter[str] = Counter()
    own: Counter[str] = Counter()
    took: list[float] = []
    with operated_game(FIVE, MODULES) as game, played(game) as found:
        for number in range(count):
            server = ("ranking", "lobby", "hub", "world", "gate")[number // 2 % 5]
            # Killed, then in order: that makes it begin anew with the shortest delay.
            took.append(disturb(game, server, found, kill=number % 2 == 0))
            for kind in found:
                (own if server in kind.needs else disturbed).update(kind.errors)
                kind.errors.clear()
    took.sort()
    figure = (
        f"{disturbed.total()} errors of others beside {count} restarts, {own.total()} of calls to it "
        f"({', '.join(sorted(own)) or 'none'}); everything back p99 {took[int(len(took) * 0.99)]:.1f} s, "
        f"at most {took[-1]:.1f} s"
    )
    return Outcome(count, figure, not disturbed and took[int(len(took) * 0.99)] <= 6.0)


# --------------------------------------------------------------------------------------------- the gate's listener

DOOR = """
[firefly]
plugins = ["gate", "root", "protocols"]
log_level = "warning"
[servers.gate]
handlers = ["near"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:{door}", protocol = "json" }
rate = "30/s"
max_sessions = 5000
[servers.gate.root]
listen = "tcp://127.0.0.1:{root}"
"""
LIVE = 50


class Newcomers:
    """Clients that come at a steady rate, ask one thing and go."""

    def __init__(self, port: int) -> None:
        self.ends: Counter[str] = Counter()
        self.slowest = 0.0
        self._port = port
        self._pool = Pool(4000)

    def run(self, rate: float) -> None:
        """Come for ever."""
        began, number = time.monotonic(), 0
        while True:
            number += 1
            gevent.sleep(max(0.0, began + number / rate - time.monotonic()))
            self._pool.spawn(self._come)

    def join(self) -> None:
        """Wait for those who are there."""
        self._pool.join(timeout=30)

    def _come(self) -> None:
        began = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=20) as line:
                line.sendall(b'{"id": 1, "cmd": "near", "body": 7}\n')
                answer = line.recv(1000)
        except ConnectionRefusedError:
            self.ends["refused"] += 1
        except OSError as error:
            self.ends["lost" if not isinstance(error, TimeoutError) else "hung"] += 1
        else:
            answer = answer.replace(b" ", b"")
            told = "told to go" if b'"cmd":"goodbye"' in answer else "closed without a word"
            self.ends["answered" if b'"body":7' in answer else told] += 1
        self.slowest = max(self.slowest, time.monotonic() - began)


def reload_once(game: OperatedGame, number: int) -> tuple[str, int]:
    """Reload new code, or (an odd number) a changed gate; gives which, and how many live sessions were closed."""
    url = f"tcp://127.0.0.1:{game.ports['door']}"
    live = [FakeClient(SocketNetwork(), url, JsonWire(stream=True)) for _ in range(LIVE)]
    file = game.folder / "firefly.toml"
    if number % 2:
        before, after = (f"max_sessions = {most + number}" for most in (4999, 5001))
        file.write_text(file.read_text().replace(before, after))
    else:
        (game.folder / "near.py").write_text(MODULES["near"] + f"# {number}\n")
    ended = game.run("reload")
    assert ended.returncode == 0, ended.stderr
    gevent.sleep(0.2)
    closed = sum(client.closed is not None for client in live)
    for client in live:
        client.close()
    return ("gate" if number % 2 else "code"), closed


def a48_reloads(count: int) -> Outcome:
    """Reload `count` times while clients come: new code, then a changed gate that is started anew, and so on."""
    dropped = {"code": 0, "gate": 0}
    with operated_game(DOOR, MODULES) as game:
        newcomers = Newcomers(game.ports["door"])
        coming = gevent.spawn(newcomers.run, 500.0 if count > 2 else 100.0)
        began = time.monotonic()
        for number in range(count):
            what, closed = reload_once(game, number)
            dropped[what] += closed
        seconds = time.monotonic() - began
        coming.kill()
        newcomers.join()
        starts = game.wait_state("gate-1", "ready")["starts"]
    came = newcomers.ends.total()
    told = newcomers.ends["told to go"]
    bad = {end: number for end, number in newcomers.ends.items() if end not in ("answered", "told to go")}
    figure = (
        f"{newcomers.ends['refused']} of {came:,} refused at {came / seconds:.0f}/s over {count} reloads, "
        f"{starts - 1} of which started the gate anew; others {bad or 'none'}, "
        f"at most {newcomers.slowest:.1f} s; "
        f"{told} had got in just before and were told to go; "
        f"live sessions closed: {dropped['code']} by new code, {dropped['gate']} by a new gate"
    )
    return Outcome(came, figure, not bad and dropped["code"] == 0 and starts == 1 + count // 2)


ROWS = [
    Row("A47", "a server that starts anew disturbs no other", a47_one_for_one, 0, 100),
    Row("A48", "nobody is refused at a gate's door while it is reloaded", a48_reloads, 1, 20),
]
