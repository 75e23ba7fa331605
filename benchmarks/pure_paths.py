"""Run as a program, under callgrind: the paths of a message that touch no socket, each in one `functools.reduce`.

    pure_paths.py TIMES NAME ...

A gate is put together without being started; its client is a transport in memory.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402
import importlib  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from functools import reduce  # noqa: E402
from typing import Any  # noqa: E402

from firefly_gate.commands import Command  # noqa: E402

from benchmarks.places import GAME  # noqa: E402
from benchmarks.wire import BODY, datapack, json_request  # noqa: E402
from firefly_core.kernel.config.cluster import load  # noqa: E402
from firefly_core.kernel.kernel import Kernel  # noqa: E402
from firefly_core.kernel.mesh.peer import Peer  # noqa: E402

WARM_UP = 100
MASK = b"\x37\xfa\x21\x3d"
# Imported before they are loaded: under valgrind loading takes longer than a plugin may.
PLUGINS = ("firefly_gate.gate", "firefly_protocols.datapack", "firefly_protocols.json_text")
DATAPACK, JSON, WEBSOCKET = 0, 1, 2
"""The doors of benchmarks/game/gate.toml."""


class Client:
    """The other end of a connection that leads nowhere."""

    polled = True
    address = "127.0.0.1:1"

    def __init__(self) -> None:
        self.said = b""

    def recv(self, _size: int) -> bytes:
        raise BlockingIOError

    def send(self, data: bytes) -> int:
        self.said = data
        return len(data)

    def start(self, *_: Any) -> None:
        pass

    pause = resume = wait_writable = stop_writable = finish = close = abort = start


class Node(Peer):
    """A node whose answers are there when the gate looks for them."""

    connected = takes_new = True

    def __init__(self) -> None:
        super().__init__("world-1")
        self.channel = self  # type: ignore[assignment]  # what a gate needs of one
        self.open: list[tuple[Callable[..., None], bytes]] = []

    def call_later(self, _: str, params: Any, callback: Callable[..., None], **__: Any) -> int:  # type: ignore[override]
        self.open.append((callback, params[2]))
        return 0

    def notify(self, *_: Any, **__: Any) -> bool:
        return True


def _forward(gate: Any, session: Any) -> Callable[[], None]:
    """Give a turn in which four commands go to a node and come back."""
    node = Node()
    command = Command(101, "routed_echo", False, 10.0)
    command.peers[node.name] = node
    session.door.commands[101] = command
    frames = datapack(101) * 4

    def turn() -> None:
        session.on_data(frames)
        answers, node.open = node.open, []
        for callback, body in answers:
            callback(None, body)
        gate.kernel.runners.send_ready()

    return turn


def _answer(session: Any, data: bytes) -> Callable[[], None]:
    """Give a turn in which a session alone gets `data` and answers, as in a slice of the runners."""
    runners = session.gate.kernel.runners

    def turn() -> None:
        runners.serving = True
        session.on_data(data)
        runners.serving = False
        runners.send_ready()

    return turn


def _masked(text: bytes) -> bytes:
    mask = (MASK * (len(text) // 4 + 1))[: len(text)]
    body = bytes(a ^ b for a, b in zip(text, mask, strict=True))
    return bytes((0x81, 0x80 | len(text))) + MASK + body


def _connect(gate: Any, door: int, *first: bytes) -> tuple[Any, Client]:
    client = Client()
    gate.accept(gate.doors[door], client)
    session = list(gate.crowd.sessions.values())[-1]
    for data in first:
        session.on_data(data)
    session.bound(session.id)
    return session, client


def _paths() -> dict[str, Callable[[], Any]]:
    """Give what is counted, by name."""
    os.environ.update(BENCH_TCP="9001", BENCH_JSON="9002", BENCH_WS="9003")
    for module in PLUGINS:
        importlib.import_module(module)
    gate: Any = Kernel(load(GAME / "gate.toml"), "gate").services["gate"]
    gate.learn()
    plain, client = _connect(gate, DATAPACK)
    forwarding, forwarding_client = _connect(gate, DATAPACK)
    typed, typed_client = _connect(gate, JSON)
    upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    upgrade += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    text, text_client = _connect(gate, WEBSOCKET, upgrade)
    one = datapack(1)
    move = datapack(4, b'{"x":120,"y":80,"name":"' + b"x" * 32 + b'"}')
    said = _masked(json_request(4, {"x": 120, "y": 80, "name": "x" * 32})[0])
    paths: dict[str, tuple[Callable[[], Any], Client | None, bytes]] = {
        "parse a datapack frame": (lambda: plain.wire.receive(one), None, b""),
        "answer a datapack frame": (_answer(plain, one), client, BODY),
        "answer 16 datapack frames": (_answer(plain, one * 16), client, BODY),
        "forward 4 commands and answer them": (_forward(gate, forwarding), forwarding_client, BODY),
        "answer a typed payload": (_answer(typed, move), typed_client, b'"x":120'),
        "answer a json message over WebSocket": (_answer(text, said), text_client, b'"x":120'),
    }
    for name, (path, answered, expected) in paths.items():
        path()
        if answered is not None and expected not in answered.said:
            raise AssertionError(f"{name}: {answered.said!r}")
    return {name: path for name, (path, _, _) in paths.items()}


def main(times: int, names: list[str]) -> None:
    """Run the paths so many times each, in the order of their names."""
    paths = _paths()
    gc.disable()
    for name in names or list(paths):
        path = paths[name]
        for _ in range(WARM_UP):
            path()
        print(name, flush=True)
        reduce(lambda _, __: path(), range(times), None)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
