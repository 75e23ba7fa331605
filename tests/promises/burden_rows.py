"""Rows C3 and C29: a root whose hub is held up, and a gate with everything bad at once; real processes and sockets."""

from __future__ import annotations

import contextlib
import socket
import time

import gevent

from tests.promises.gate_clients import KIB, ask, connect, ended, gate, json_player, served
from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import running_game, wait_until

__all__ = ["ROWS"]

TWO = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
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
import time
from firefly_core import command

@command(1, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    return uid

@command(2, timeout=60.0)
def spin(ctx, seconds: float) -> None:
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        pass

"""
WORLD = """
from firefly_core import command

@command(10)
def echo(ctx, value: int) -> int:
    return value

@command(11)
def connections(ctx) -> int:
    return sum(dialer.connections for dialer in ctx._kernel.links._dialers.values())
"""
BLOCKED = "the hub was blocked"
SPIN, SHORT_SPIN, FEW = 5.0, 0.5, 5
SLOW = 50
FLOOD = 200
SHOUTS = 200


def c3_busy_root(count: int) -> Outcome:
    """`count` times a handler of the root's process computes for five seconds (in short half a one) without a pause."""
    seconds = SPIN if count >= FEW else SHORT_SPIN
    answered = 0
    with running_game(TWO, {"hall": HALL, "world": WORLD}) as game:
        with json_player(game, 1) as busy, json_player(game, 2) as good:
            for number in range(count):
                busy.sendall(b'{"id":1,"cmd":"spin","body":%.1f}\n' % seconds)
                gevent.sleep(0.05)
                answered += ask(good, f'{{"id":2,"cmd":"echo","body":{number}}}').get("body") == number
                busy.recv(4096)
            # Of the node's own, for strangers may knock at the root's port.
            lost = ask(good, '{"id":3,"cmd":"connections"}').get("body", 0) - 1
        told = sum(BLOCKED in line for line in game.lines())
    figure = (
        f"{count} times {seconds:g} s of computing at the root: {lost} times the node lost its channel, "
        f"{answered} of {count} commands over the node answered, {told} times said who it was"
    )
    return Outcome(count, figure, not lost and answered == count and told >= count)


def c29_all_at_once(count: int) -> Outcome:
    """`count` times: no descriptors left, a flood of connections, and 50 players who do not read what is pushed."""
    dead = away = heard = 0
    longest = after = 0.0
    for _ in range(count):
        with gate("queue = 65536\nsend_timeout = 1.0") as game, json_player(game, 1) as good:
            slow = [reluctant(game.ports["json"], uid) for uid in range(2, SLOW + 2)]
            game.limit_descriptors(game.descriptors() + 8)
            crowd = []
            for _ in range(FLOOD):
                with contextlib.suppress(OSError):
                    crowd.append(connect(game, "json"))
            listeners = SLOW
            for _ in range(SHOUTS):
                begin = time.perf_counter()
                listeners = ask(good, '{"id":5,"cmd":"shout","body":32768}')["body"]
                longest = max(longest, time.perf_counter() - begin)
            heard += listeners
            away += sum(ended(sock) for sock in crowd)
            for sock in (*crowd, *slow):
                sock.close()
            left = time.monotonic()
            wait_until(lambda: served(game), "a new client is served", timeout=20)
            after = max(after, time.monotonic() - left)
            dead += game.process.poll() is not None
    figure = (
        f"{count * SLOW - heard} of {count * SLOW} slow readers closed beside {count} floods of {FLOOD} at gates that "
        f"have no descriptors ({away} turned away); {dead} gates died, the player inside waited "
        f"{longest * 1000:.0f} ms at most, the next client was served after {after:.2f} s"
    )
    return Outcome(count * SLOW, figure, not dead and not heard and longest <= 1.0 and after <= 10)


def reluctant(port: int, uid: int) -> socket.socket:
    """Give a player who reads nothing more, and whose socket holds little."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
    sock.connect(("127.0.0.1", port))
    ask(sock, f'{{"id":1,"cmd":"login","body":{uid}}}')
    ask(sock, '{"id":2,"cmd":"listen"}')
    return sock


ROWS = [
    Row("C3", "a root that is held up for five seconds loses nobody", c3_busy_root, 1, 20),
    Row("C29", "slow readers, a flood and no descriptors at once cost nobody else", c29_all_at_once, 1, 5),
]
