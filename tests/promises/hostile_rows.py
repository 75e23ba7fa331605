"""Rows A2, A3 and A9: a gate in a process of its own, and clients that hold on to it, over real sockets."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

import gevent

from tests.promises.gate_clients import (
    KIB,
    ask,
    connect,
    datapack,
    datapack_player,
    ended,
    frame,
    gate,
    hear,
    json_player,
    served,
    settle,
    ws_player,
)
from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import RunningGame, wait_until

__all__ = ["ROWS"]

WARM = 40
SMALLEST = 64


# ---------------------------------------------------------------------------------- A2: announce much, and stop


def almost(data: bytes) -> bytes:
    """Leave the last byte out."""
    return data[:-1]


def hostile_json(game: RunningGame, uid: int) -> socket.socket:
    sock = json_player(game, uid)
    sock.sendall(b'{"id":2,"cmd":"echo","body":"' + b"x" * (64 * KIB - 40))
    return sock


def hostile_datapack(game: RunningGame, uid: int) -> socket.socket:
    sock = datapack_player(game, uid)
    sock.sendall(almost(datapack(2, bytes(64 * KIB - 100))))
    return sock


def hostile_ws(game: RunningGame, uid: int) -> socket.socket:
    sock = ws_player(game, uid)
    sock.sendall(almost(frame(b"x" * (64 * KIB - 100))))
    return sock


def hostile_fragments(game: RunningGame, uid: int) -> socket.socket:
    sock = ws_player(game, uid)
    sock.sendall(frame(b"x" * (32 * KIB), 0x01) + frame(b"x" * (31 * KIB), 0x00))
    return sock


def hostile_handshake(game: RunningGame, _uid: int) -> socket.socket:
    sock = connect(game, "ws")
    sock.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (8 * KIB - 100))
    return sock


def hostile_stranger(game: RunningGame, _uid: int) -> socket.socket:
    sock = connect(game, "datapack")
    sock.sendall(almost(datapack(2, bytes(4 * KIB - 100))))
    return sock


def hostile_pipeline(game: RunningGame, uid: int) -> socket.socket:
    """Send far more commands than may wait, while the first one rests."""
    sock = json_player(game, uid)
    sock.setblocking(False)
    data = b'{"id":2,"cmd":"rest"}\n' + b'{"id":3,"cmd":"echo","body":1}\n' * 8000
    with contextlib.suppress(BlockingIOError):
        while data:
            data = data[sock.send(data) :]
    return sock


HOSTILE: list[Callable[[RunningGame, int], socket.socket]] = [
    hostile_json,
    hostile_datapack,
    hostile_ws,
    hostile_fragments,
    hostile_handshake,
    hostile_stranger,
    hostile_pipeline,
]


def a2_announce(count: int) -> Outcome:
    """`count` clients announce as much as is allowed, send all of it but the end, and stop."""
    with gate("frame_timeout = 600.0\nlogin_timeout = 600.0\ntimeout = 600.0") as game:
        socks = [HOSTILE[number % len(HOSTILE)](game, number) for number in range(WARM)]
        for sock in socks:
            sock.close()
        settle(game)
        before = game.resident()
        socks = [HOSTILE[number % len(HOSTILE)](game, WARM + number) for number in range(count)]
        settle(game)
        grown = game.resident() - before
        with json_player(game, 1_000_000) as good:
            alive = ask(good, '{"id":5,"cmd":"echo","body":7}')["body"] == 7
        for sock in socks:
            sock.close()
    figure = (
        f"{grown / KIB / count:.1f} KiB for each of {count:,} clients of {len(HOSTILE)} kinds, {grown / KIB:,.0f} KiB"
    )
    return Outcome(count, figure, grown <= count * 96 * KIB + 512 * KIB and alive)


# ------------------------------------------------------------------------------------------- A3: idle connections


def a3_idle(count: int) -> Outcome:
    """`count` idle clients, over TCP and over WebSocket: what each costs."""
    told = []
    kept = True
    for name, most, join in (("TCP", 4, json_player), ("WebSocket", 16, ws_player)):
        with gate("heartbeat = 600.0") as game:
            socks = [join(game, uid) for uid in range(WARM)]
            settle(game)
            before = game.resident()
            socks += [join(game, WARM + uid) for uid in range(count)]
            settle(game)
            each = (game.resident() - before) / KIB / count
            told.append(f"{name} {each:.2f} KiB")
            # A target of 1.5 and 8 KiB; five times as much would be a broken promise.
            kept = kept and each <= most * 5 and ask_any(name, socks[-1])
            for sock in socks:
                sock.close()
    return Outcome(2 * count, f"{', '.join(told)} for each of {count:,} logged-in players", kept)


def ask_any(name: str, sock: socket.socket) -> bool:
    """Whether a client is served."""
    line = '{"id":9,"cmd":"echo","body":41}'
    if name == "TCP":
        return ask(sock, line)["body"] == 41
    sock.sendall(frame(line.encode()))
    return b"41" in hear(sock, b'"body":')


# ---------------------------------------------------------------------------------------- A9: out of descriptors


def a9_descriptors(count: int) -> Outcome:
    """`count` clients connect to a gate that may have 64 files open; then they leave."""
    with gate() as game, json_player(game, 1) as inside:
        game.limit_descriptors(SMALLEST)
        lines = len(game.lines())
        begin = time.monotonic()
        socks = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                socks.append(connect(game, "json"))
        gevent.sleep(2.0)
        played = ask(inside, '{"id":5,"cmd":"echo","body":7}')["body"] == 7
        seconds = time.monotonic() - begin
        spoken = (len(game.lines()) - lines) / seconds
        held = game.descriptors()
        away = sum(ended(sock) for sock in socks)
        for sock in socks:
            sock.close()
        left = time.monotonic()
        wait_until(lambda: served(game), "a new client is served", timeout=20)
        after = time.monotonic() - left
        alive = game.process.poll() is None
    figure = (
        f"{len(socks)} knocked at a gate with {SMALLEST} descriptors, {away} were turned away: it lives, "
        f"{spoken:.1f} log lines a second, the next client served after {after:.2f} s"
    )
    full = held >= SMALLEST - 2 and away >= count - SMALLEST
    return Outcome(count, figure, alive and played and full and spoken <= 10 and after <= 10)


ROWS = [
    Row("A2", "the memory of a connection is bounded whatever it sends", a2_announce, 70, 1_000),
    Row("A3", "an idle player is cheap", a3_idle, 200, 9_000),
    Row("A9", "a gate without descriptors lives on", a9_descriptors, 200, 200),
]
