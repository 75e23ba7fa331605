"""Rows A52, A55 and C31: the admin without its token, what a game tells, and the admin under a flood."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
from firefly_admin.actions import ACTIONS

from firefly_core.channel.network import SocketNetwork
from firefly_core.testing import FakeClient
from firefly_core.testing.client_wire import JsonWire
from tests.promises.ledger import Outcome, Row
from tests.promises.operated_game import OperatedGame, operated_game
from tests.promises.running_game import wait_until

__all__ = ["ROWS"]

TOKEN = "canary-token-canary-token-canary-token"
SECRET = "canary-secret-canary-secret"
PASSWORD = "canary-password"
TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols", "db-cache", "admin"]
log_folder = "logs"
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
[servers.admin.admin]
listen = "http://127.0.0.1:{admin}"
token = "${ADMIN_TOKEN}"
bad_tokens = 1000
"""
WORLD = """
from firefly_core import command

@command(1, public=True)
def ping(ctx, number: int) -> int:
    return number

@command(2, public=True)
def broken(ctx):
    config = ctx._kernel.cluster
    raise KeyError(f"everything: {config!r} {config.firefly!r} {config.servers!r}")
"""
ENVIRON = {"ADMIN_TOKEN": TOKEN, "FIREFLY_SECRET": SECRET}
VIEWS = ("topology", "history", "sessions", "commands", "describe", "groups", "db", "logs")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
OURS = ("Content-Type: application/json", "X-Firefly-Admin: 1")
STRANGERS: tuple[tuple[str, ...], ...] = (
    (),
    OURS,
    ("Authorization:", *OURS),
    ("Authorization: Bearer", *OURS),
    ("Authorization: Bearer " + "x" * len(TOKEN), *OURS),
    ("Authorization: Bearer " + TOKEN[:-1], *OURS),
    ("Authorization: Bearer " + TOKEN.upper(), *OURS),
    ("Authorization: Bearer é" + TOKEN, *OURS),
    ("Authorization: Basic " + TOKEN, *OURS),
    (f"Authorization: Bearer {TOKEN}\0", *OURS),
    ("Authorization: Bearer " + "x" * 2**20, *OURS),
    (f"Cookie: token={TOKEN}", *OURS),
    (f"X-Authorization: Bearer {TOKEN}", *OURS),
)
FORGED: tuple[tuple[str, ...], ...] = (
    (),
    ("Content-Type: text/plain", "X-Firefly-Admin: 1"),
    ("Content-Type: application/x-www-form-urlencoded", "X-Firefly-Admin: 1"),
    ("Content-Type: application/json",),
    (*OURS, "Origin: http://evil.example"),
    (*OURS, "Host: evil.example"),
    (*OURS, "Sec-Fetch-Site: cross-site"),
    (*OURS, "Host: localhost", "Host: evil.example"),
)
"""What a foreign page may make a browser send that knows the token."""
BODIES: dict[str, Any] = {
    "stop": {"everything": True},
    "restart": {"process": "world"},
    "drain": {"process": "world"},
    "disable": {"command": "ping"},
    "notice": {"text": "x"},
    "kick": {"uid": 1},
}
REFUSED = frozenset((0, 400, 401, 403, 404, 405, 413, 415, 421, 429, 431, 501))
"""0: the connection was closed."""


def ask(port: int, method: str, path: str, *lines: str, body: bytes = b"") -> tuple[int, bytes]:
    """Ask with these header lines; gives the status and the body, 0 where the connection was closed instead."""
    host = "" if any(line.lower().startswith("host:") for line in lines) else "Host: localhost\r\n"
    head = f"{method} {path} HTTP/1.1\r\n{host}Content-Length: {len(body)}\r\nConnection: close\r\n"
    data = (head + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode() + body
    answer = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        with suppress(OSError):
            client.sendall(data)
        while piece := client.recv(65536):
            answer += piece
    head_end = answer.find(b"\r\n\r\n")
    return (int(answer.split(b" ", 2)[1]), answer[head_end + 4 :]) if head_end > 0 else (0, b"")


def show(port: int, path: str) -> bytes:
    """Ask with the token."""
    return ask(port, "GET", path, f"Authorization: Bearer {TOKEN}")[1]


def effects(game: OperatedGame) -> Any:
    """Give everything that an action could have changed."""
    pids = {name: told["pid"] for name, told in game.states().items()}
    switches = game.folder / "var" / "admin.switches"  # the admin itself answers nobody after a thousand wrong tokens
    return pids, switches.read_bytes() if switches.exists() else b""


def a52_strangers(count: int) -> Outcome:
    """Try every route by every method without the token, `count` requests at most, and as a foreign page might."""
    routes = [*VIEWS, *ACTIONS, "", "nothing", "../healthz", "config"]
    tries = [(r, m, lines) for lines in STRANGERS for r in routes for m in METHODS]
    tries += [(r, "POST", (f"Authorization: Bearer {TOKEN}", *lines)) for lines in FORGED for r in ACTIONS]
    chosen = tries[:: max(1, len(tries) // count)]
    statuses: Counter[int] = Counter()
    with operated_game(TOML, {"world": WORLD}, environ=ENVIRON) as game:
        port = game.ports["admin"]
        before = effects(game)
        for route, method, lines in chosen:
            body = b"" if method in ("GET", "HEAD") else json.dumps(BODIES.get(route, {})).encode()
            statuses[ask(port, method, f"/api/{route}", *lines, body=body)[0]] += 1
        same = effects(game) == before
    allowed = statuses.total() - sum(statuses[status] for status in REFUSED)
    figure = (
        f"{allowed} of {len(chosen):,} requests without the token or by a foreign page were let in, "
        f"{'nothing was' if same else 'SOMETHING WAS'} done; statuses {dict(sorted(statuses.items()))}"
    )
    return Outcome(len(chosen), figure, allowed == 0 and same)


# --------------------------------------------------------------------------------------------------------- secrets


def outputs(game: OperatedGame) -> dict[str, bytes]:
    """Give everything that a game tells anybody: answers, commands, logs, command lines."""
    port = game.ports["admin"]
    told = {
        f"GET {path}": show(port, path) for path in ["/", "/readyz", "/metrics", *(f"/api/{each}" for each in VIEWS)]
    }
    told["GET /api/config"] = show(port, "/api/config")
    told["a wrong token"] = ask(port, "GET", "/api/topology", f"Authorization: Bearer {TOKEN[:-1]}")[1]
    for words in (["config"], ["check"], ["commands"], ["plugins"], ["status"], ["status", "--json"], ["plan"]):
        ended = game.run(*words)
        told[" ".join(words)] = (ended.stdout + ended.stderr).encode()
    for pid in game.family():
        with suppress(OSError):
            told[f"command line of {pid}"] = Path(f"/proc/{pid}/cmdline").read_bytes()
    return told


def provoke(game: OperatedGame) -> None:
    """Have errors told: of a handler, a peer with another secret, a damaged file, and a database that is not there."""
    client = FakeClient(SocketNetwork(), f"tcp://127.0.0.1:{game.ports['door']}", JsonWire(stream=True))
    for command in ("broken", "no_such"):
        with suppress(Exception):
            client.request(command)
    client.close()
    stranger = game.launch("--only", "world-1", "--set", "firefly.secret=canary-another-secret")
    gevent.sleep(1.5)
    stranger.kill()
    stranger.wait()
    whole = (game.folder / "firefly.toml").read_text()
    url = f"postgresql://somebody:{PASSWORD}@127.0.0.1:1/x"
    for damaged in [
        whole.replace("[servers.admin.admin]", f'[servers.admin.admin]\nhosts = "{TOKEN}'),
        whole.replace('token = "', f'token = "{TOKEN[:20]}\\n'),
        whole + f'secret = "{SECRET}"\n',
        whole + f'[servers.world.db-cache]\ndatabase = "{url}"\nmodels = ["world"]\nstart_timeout = 1.0\n',
    ]:
        (game.folder / "firefly.toml").write_text(damaged)
        game.process.send_signal(signal.SIGHUP)
        game.run("check")
        gevent.sleep(1.5)
    (game.folder / "firefly.toml").write_text(whole)


def a55_secrets(count: int) -> Outcome:
    """Look for canaries in everything that is told, `count` times; from two on, after errors were provoked."""
    hits, seen, size = [], 0, 0
    words = [word.encode() for word in (TOKEN, SECRET, PASSWORD, "canary-another-secret")]
    with operated_game(TOML, {"world": WORLD}, environ=ENVIRON) as game:
        for number in range(count):
            if number:
                provoke(game)
            told = outputs(game)
            told["the log"] = game.log.read_bytes()
            told |= {str(path.name): path.read_bytes() for path in (game.folder / "logs").iterdir()}
            hits += [f"{where}: {word.decode()}" for where, text in told.items() for word in words if word in text]
            seen, size = seen + len(told), size + sum(map(len, told.values()))
    figure = f"{len(hits)} canaries in {seen} outputs of {size:,} bytes"
    return Outcome(seen, figure + "".join(f"; {hit}" for hit in sorted(set(hits))[:4]), not hits)


# ------------------------------------------------------------------------------------------------------- a flood


def p99(client: FakeClient, seconds: float) -> float:
    """Give how long the slowest of a hundred answers of the game took."""
    took = []
    ends = time.monotonic() + seconds
    while (began := time.monotonic()) < ends:
        client.request("ping", 1)
        took.append(time.monotonic() - began)
        gevent.sleep(0.002)
    return sorted(took)[int(len(took) * 0.99)]


def drip(port: int) -> None:
    """Be a client that sends its header a byte a second."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        for letter in b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100:
            line.sendall(bytes([letter]))
            gevent.sleep(1.0)


def c31_flood(count: int) -> Outcome:
    """A thousand requests at once and two hundred that drip, `count` times, beside a player."""
    calm, busy, ends = [], [], Counter[int]()
    with operated_game(TOML, {"world": WORLD}, environ=ENVIRON) as game:
        port = game.ports["admin"]
        client = FakeClient(SocketNetwork(), f"tcp://127.0.0.1:{game.ports['door']}", JsonWire(stream=True))
        wait_until(lambda: b'"up"' in show(port, "/readyz") and answers(client), "the game")
        for _ in range(count):
            calm.append(p99(client, 4.0))
            drips = [gevent.spawn(drip, port) for _ in range(200)]
            flood = [
                gevent.spawn(ask, port, "POST", "/api/reload", f"Authorization: Bearer {TOKEN}", *OURS)
                for _ in range(1000)
            ]
            busy.append(p99(client, 4.0))
            gevent.joinall(flood, timeout=60)
            ends.update(each.value[0] if each.value else -1 for each in flood)
            gevent.killall(drips)
        client.close()
    before, during = sorted(calm)[len(calm) // 2], sorted(busy)[len(busy) // 2]
    hung = ends.pop(-1, 0)
    figure = (
        f"p99 of the game {before * 1000:.1f} -> {during * 1000:.1f} ms beside 1,000 requests at once and 200 that "
        f"drip, whose client has the same cores; {hung} of {1000 * count:,} hung, "
        f"statuses {dict(sorted(ends.items()))}"
    )
    return Outcome(1000 * count, figure, hung == 0 and during <= max(5 * before, 0.05))


def answers(client: FakeClient) -> bool:
    """Whether the game takes commands already."""
    with suppress(Exception):
        return bool(client.request("ping", 1))
    return False


ROWS = [
    Row("A52", "the admin does nothing without its token, whatever the route and the method", a52_strangers, 40, 2_654),
    Row("A55", "secrets are in no output, log or command line", a55_secrets, 0, 5),
    Row("C31", "a flood at the admin does not disturb the game", c31_flood, 0, 5),
]
