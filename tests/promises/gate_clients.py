"""A gate in a process of its own, and clients that speak to it byte by byte, over real sockets."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct

import gevent

from tests.promises.running_game import RunningGame, running_game

__all__ = [
    "KIB",
    "ask",
    "connect",
    "datapack",
    "datapack_player",
    "ended",
    "frame",
    "gate",
    "hear",
    "json_player",
    "served",
    "settle",
    "upgrade",
    "ws_client",
    "ws_player",
]

TOML = """
[firefly]
plugins = ["gate", "protocols"]
drain_timeout = 0.5
[servers.gate]
handlers = ["hall"]
[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:{json}", protocol = "json" },
  { url = "tcp://127.0.0.1:{datapack}", protocol = "datapack", codec = "json" },
  { url = "ws://127.0.0.1:{ws}/", protocol = "json", origins = ["none"] },
  MORE
]
rate = "off"
max_sessions = 20_000
KEYS
"""
HALL = """
import gevent
from firefly_core import command

@command(1, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    return uid

@command(2)
def echo(ctx, value: int) -> int:
    return value

@command(3)
def rest(ctx) -> None:
    gevent.sleep(300)

@command(4)
def listen(ctx) -> None:
    ctx.group("listeners").join(ctx.session)

@command(5)
def shout(ctx, size: int) -> int:
    ctx.group("listeners").push(2001, "x" * size)
    return len(ctx.group("listeners").members())
"""
KIB = 1024


def gate(keys: str = "", more: str = "") -> contextlib.AbstractContextManager[RunningGame]:
    """Run a gate alone."""
    return running_game(TOML.replace("KEYS", keys).replace("MORE", more), {"hall": HALL}, only="gate")


# --------------------------------------------------------------------------------------------------- the clients


def connect(game: RunningGame, listener: str) -> socket.socket:
    """Connect to a listener of the gate."""
    return socket.create_connection(("127.0.0.1", game.ports[listener]), timeout=10)


def hear(sock: socket.socket, what: bytes) -> bytes:
    """Read until `what` has come."""
    data = b""
    while what not in data:
        piece = sock.recv(65536)
        assert piece, f"closed after {data!r}"
        data += piece
    return data


def ask(sock: socket.socket, text: str) -> dict[str, object]:
    """Send one json line and give the answer."""
    sock.sendall(text.encode() + b"\n")
    return dict(json.loads(hear(sock, b"\n")))


def datapack(command: int, body: bytes) -> bytes:
    """Give a datapack frame."""
    return struct.pack("!5B3I", 0, 0, 0, 0, 0, 0, len(body) + 4, command) + body


def upgrade(*more: str) -> bytes:
    """Give the request that opens a WebSocket."""
    lines = ["GET / HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    key = base64.b64encode(os.urandom(16)).decode()
    return "\r\n".join([*lines, f"Sec-WebSocket-Key: {key}", *more, "", ""]).encode()


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """Give a client's frame, masked with nothing."""
    size = len(payload)
    if size < 126:
        return bytes((first, 0x80 | size)) + bytes(4) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 0xFE, size) + bytes(4) + payload
    return struct.pack("!BBQ", first, 0xFF, size) + bytes(4) + payload


def json_player(game: RunningGame, uid: int) -> socket.socket:
    """Give a player over TCP."""
    sock = connect(game, "json")
    ask(sock, f'{{"id":1,"cmd":"login","body":{uid}}}')
    return sock


def datapack_player(game: RunningGame, uid: int) -> socket.socket:
    """Give a player over datapack."""
    sock = connect(game, "datapack")
    sock.sendall(datapack(1, str(uid).encode()))
    hear(sock, str(uid).encode())
    return sock


def ws_client(game: RunningGame, *more: str, listener: str = "ws") -> tuple[socket.socket, bytes]:
    """Give a client with an open WebSocket, and what the gate answered."""
    sock = connect(game, listener)
    sock.sendall(upgrade(*more))
    return sock, hear(sock, b"\r\n\r\n")


def ws_player(game: RunningGame, uid: int) -> socket.socket:
    """Give a player over WebSocket."""
    sock, _ = ws_client(game)
    sock.sendall(frame(f'{{"id":1,"cmd":"login","body":{uid}}}'.encode()))
    hear(sock, b'"body":')
    return sock


def settle(game: RunningGame) -> None:
    """Wait until the gate holds the same memory twice in a row."""
    last = -1
    for _ in range(40):
        gevent.sleep(0.1)
        now = game.resident()
        if now == last:
            return
        last = now


def ended(sock: socket.socket) -> bool:
    """Whether the other side has closed."""
    sock.setblocking(False)
    try:
        return not sock.recv(4096)
    except BlockingIOError:
        return False
    except OSError:
        return True


def served(game: RunningGame) -> bool:
    """Whether a new client is served."""
    try:
        with connect(game, "json") as sock:
            return ask(sock, '{"id":1,"cmd":"login","body":2}')["body"] == 2
    except (OSError, AssertionError, ValueError):
        return False
