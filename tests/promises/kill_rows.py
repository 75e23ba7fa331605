"""Rows C1 and C4: processes that are killed while others wait for their answers; real processes, real sockets."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent

from tests.promises.gate_clients import ask, connect, hear, json_player
from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import RunningGame, running_game, wait_until

__all__ = ["ROWS"]

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
secret = "the secret of these promises...."
drain_timeout = 0.5
[servers.gate]
handlers = ["hall"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:{json}", protocol = "json" }
rate = "off"
[servers.gate.root]
listen = "tcp://127.0.0.1:{root}"
[servers.world]
handlers = ["world"]
[servers.world.node]
roots = ["gate"]
"""
HALL = """
import gevent
from firefly_core import command, remote

@command(1, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    return uid

@remote("hall.rest")
def rest(ctx) -> None:
    gevent.sleep(0.2)
"""
WORLD = """
import gevent
from firefly_core import command, every

@command(10)
def echo(ctx, value: int) -> int:
    return value

@command(11, timeout=60.0)
def rest(ctx) -> None:
    gevent.sleep(60)

def call(ctx, number):
    outcome = "value"
    try:
        ctx.call("hall.rest", timeout=5.0)
    except Exception as error:
        outcome = type(error).__name__
    with open("ends.txt", "a") as file:
        file.write(outcome + "\\n")

@every(0.05)
def ask(ctx) -> None:
    with open("begins.txt", "a") as file:
        file.write("begun\\n")
    gevent.spawn(call, ctx, 1)
"""
MODULES = {"hall": HALL, "world": WORLD}
PLAYERS = 100


def again(game: RunningGame, name: str) -> RunningGame:
    """Start another process of the same game."""
    return RunningGame(game.folder, (game.folder / "firefly.toml").read_text(), MODULES, only=name)


def kill(game: RunningGame) -> None:
    """Kill it as `kill -9` does."""
    game.process.send_signal(signal.SIGKILL)
    game.process.wait()


def wait_echo(sock: socket.socket, number: int) -> bool:
    """Whether a command over the node is answered with its value, at last."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: ask(sock, f'{{"id":1,"cmd":"echo","body":{number}}}').get("body") == number, timeout=20)
        return True
    return False


def lines(file: Path) -> list[str]:
    """Give what was written to a file, if anything was."""
    return file.read_text().splitlines() if file.exists() else []


# ------------------------------------------------------------------------------------------------ a node is killed


def c4_nodes(count: int) -> Outcome:
    """Kill a node `count` times, each time while it works at the commands of a hundred players."""
    codes: Counter[str] = Counter()
    longest = 0.0
    with running_game(TOML, MODULES, only="gate") as gate:
        players = [json_player(gate, uid) for uid in range(PLAYERS)]
        for number in range(count):
            os.truncate(gate.log, 0)
            node = again(gate, "world")
            assert wait_echo(players[0], number)
            for sock in players:
                sock.sendall(b'{"id":2,"cmd":"rest"}\n')
            gevent.sleep(0.1)
            kill(node)
            begin = time.monotonic()
            for sock in players:
                sock.settimeout(10)
                answer = json.loads(hear(sock, b"\n"))
                codes[answer["error"]["code"] if "error" in answer else "value"] += 1
            longest = max(longest, time.monotonic() - begin)
        for sock in players:
            sock.close()
    figure = (
        f"{codes.total():,} ends of {count * PLAYERS:,} commands ({dict(codes)}) within {longest:.2f} s of each kill"
    )
    return Outcome(count, figure, codes == {"unavailable": count * PLAYERS} and longest <= 5)


# ----------------------------------------------------------------------------------------------- the root is killed


@contextlib.contextmanager
def killed_at_last(make: Callable[[], RunningGame]) -> Iterator[RunningGame]:
    """Give a process, and kill it at the end."""
    game = make()
    try:
        yield game
    finally:
        kill(game)


def c1_roots(count: int) -> Outcome:
    """Kill the root `count` times while its node calls it twenty times a second."""
    waits = []
    with running_game(TOML, MODULES, only="world") as node:
        begins, ends = node.folder / "begins.txt", node.folder / "ends.txt"
        for number in range(count):
            os.truncate(node.log, 0)
            with killed_at_last(lambda: again(node, "gate")) as gate:
                ready = time.monotonic()
                gate.ports = node.ports
                with connect(gate, "json") as sock:
                    ask(sock, f'{{"id":1,"cmd":"login","body":{number}}}')
                    assert wait_echo(sock, number)
                waits.append(time.monotonic() - ready)
                gevent.sleep(0.5)
        gevent.sleep(1.0)
        hung = len(lines(begins)) - len(lines(ends))
        outcomes = Counter(lines(ends))
    waits.sort()
    p99 = waits[min(count - 1, int(count * 0.99))]
    figure = (
        f"{count} kills: the node was back {p99:.2f} s after the root was ready (p99); {hung} of "
        f"{outcomes.total():,} calls hung ({', '.join(f'{n:,} {word}' for word, n in outcomes.most_common())})"
    )
    # A call that began a moment ago has not ended; one that was left hanging would, at its deadline.
    return Outcome(count, figure, hung <= 1 and not outcomes["DeadlineExceeded"] and p99 <= 6.0)


ROWS = [
    Row("C1", "a killed root is found again, and no call to it hangs", c1_roots, 0, 100),
    Row("C4", "a killed node costs its open commands an error each", c4_nodes, 1, 100),
]
