"""Real servers by `firefly-run`, a proxy that cuts lines, and players of every client, each a process of its own."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult

from tests.clients.proxy import Proxy
from tests.ports import free_ports

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "clients" / "python"))  # the client is a distribution of its own, which is not installed
TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = [
  {{ url = "tcp://127.0.0.1:{json}", protocol = "json" }},
  {{ url = "ws://127.0.0.1:{ws}/play", protocol = "json", origins = ["none"] }},
  {{ url = "tcp://127.0.0.1:{msgpack}", protocol = "msgpack" }},
  {{ url = "ws://127.0.0.1:{msgpackws}/", protocol = "msgpack", origins = ["none"] }},
  {{ url = "tcp://127.0.0.1:{datapack}", protocol = "datapack", codec = "json", header = [78, 37, 38, 48, 9, 0] }},
]
rate = "off"
resume_timeout = {resume}
[servers.gate.root]
listen = "tcp://127.0.0.1:{root}"
[servers.world]
handlers = ["arena"]
[servers.world.node]
roots = ["gate"]
"""


def wait_until(condition: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    """Wait until `condition` gives something true, and give it."""
    ends = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < ends, f"not within {timeout} s: {what}"
        gevent.sleep(0.01)


class Server:
    """The arena on ports of its own."""

    NAMES = ("json", "ws", "msgpack", "msgpackws", "datapack", "root")

    def __init__(self, folder: Path, *, resume: float = 60.0) -> None:
        self.folder = folder
        self.ports = dict(zip(self.NAMES, free_ports(len(self.NAMES)), strict=True))
        shutil.copy(HERE / "arena.py", folder)
        (folder / "firefly.toml").write_text(TOML.format(resume=resume, **self.ports))
        self.log = folder / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "firefly_core.run"],
                cwd=folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
            )
        wait_until(lambda: "all servers ready" in self.log.read_text(), self.log.read_text())
        wait_until(self.knows_the_world, "the gate sends commands to the world")

    def knows_the_world(self) -> bool:
        """Whether the world answers: it is ready before the gate has heard of its commands."""
        with socket.create_connection(("127.0.0.1", self.ports["json"])) as line:
            line.sendall(b'{"id": 1, "cmd": 1, "body": "nobody"}\n')
            return b"bad_name" in line.recv(65536)

    def kill(self, name: str) -> None:
        """`kill -9` one server."""
        line = next(line for line in reversed(self.log.read_text().splitlines()) if f"{name} is ready pid=" in line)
        os.kill(int(line.rsplit("pid=", 1)[1].split()[0]), signal.SIGKILL)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


class Told(Exception):
    """What a request ended with."""

    def __init__(self, details: dict[str, Any]) -> None:
        super().__init__(details)
        self.code = details.get("code")
        self.message = details.get("message")
        self.sent = details.get("sent")
        self.reason = details.get("reason")


class Player:
    """A process with a client in it."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self._waiting: dict[int, AsyncResult[Any]] = {}
        self.events: list[dict[str, Any]] = []
        self._reader = gevent.spawn(self._read)

    def _read(self) -> None:
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        buffer = b""
        while True:
            gevent.socket.wait_read(self._process.stdout.fileno())
            data = os.read(self._process.stdout.fileno(), 65536)
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self.events.append(message)
            return
        result = self._waiting.pop(message["n"])
        if "error" in message:
            result.set_exception(Told(message["error"]))
        else:
            result.set(message.get("result"))

    def start(self, do: str, *arguments: Any) -> AsyncResult[Any]:
        """Have the client do something, and go on."""
        number = len(self._waiting) + random.getrandbits(40)
        self._waiting[number] = result = AsyncResult()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"n": number, "do": do, "args": arguments}).encode() + b"\n")
        self._process.stdin.flush()
        return result

    def do(self, do: str, *arguments: Any) -> Any:
        """Have the client do something, and wait for it."""
        return self.start(do, *arguments).get(timeout=20)

    def request(self, command: Any, body: Any = None) -> Any:
        return self.do("request", command, body)

    def error_of(self, command: Any, body: Any = None) -> Told:
        with pytest.raises(Told) as caught:
            self.request(command, body)
        return caught.value

    def of(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event]

    def news(self) -> list[Any]:
        """What it heard as `news`, in order."""
        return [each["body"] for each in self.of("news")]

    def states(self) -> list[str]:
        return [each["state"] for each in self.of("state")]

    def wait_state(self, state: str) -> dict[str, Any]:
        """Wait until it stands so, and give the event."""
        return wait_until(
            lambda: (told := self.of("state")) and told[-1]["state"] == state and told[-1], f"{state}: {self.events}"
        )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._reader.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it alive."""
    made = Server(tmp_path_factory.mktemp("arena"))
    yield made
    made.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server of one's own, to be killed."""
    made = Server(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def make_proxy() -> Iterator[Callable[[int], Proxy]]:
    """Put a proxy before a port."""
    made: list[Proxy] = []

    def make(port: int) -> Proxy:
        made.append(Proxy(port))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def make_player(npm: Callable[..., Path]) -> Iterator[Callable[..., Player]]:
    """Start a player: `make_player("threads", url, "ann", protocol="json", **options)`."""
    made: list[Player] = []

    def command_of(kind: str, url: str, name: str, protocol: str, options: str) -> list[str]:
        if kind == "node":
            client = ROOT / "clients" / "javascript" / "firefly-client.js"
            websocket = npm("ws@8.18.0") / "ws" / "wrapper.mjs"
            return ["node", str(HERE / "players" / "player.mjs"), url, name, options, str(client), str(websocket)]
        return [sys.executable, str(HERE / "players" / "player.py"), kind, url, name, protocol, options]

    def make(kind: str, url: str, name: str, protocol: str = "json", **options: Any) -> Player:
        command = command_of(kind, url, name, protocol, json.dumps(options))
        made.append(Player(command, {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}))
        return made[-1]

    yield make
    for player in made:
        player.stop()


@pytest.fixture(name="wait_until")
def give_wait_until() -> Callable[..., Any]:
    """Give `wait_until(condition, what, timeout)`."""
    return wait_until
