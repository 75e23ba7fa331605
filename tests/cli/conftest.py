"""A folder with a small game whose ports are its own, and `firefly-run` in it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
GAME = """
from typing import Any

from firefly_core import command, on_start, remote


@on_start
def start(ctx: Any) -> dict[str, int]:
    print("the game prints")
    return {"calls": 0}


@command(101, public=True)
def login(ctx: Any) -> str:
    ctx.session.bind("ada")
    return "hello"


@command(102, public=True, rate="5/s", timeout=2.0)
def pid(ctx: Any) -> int:
    import os

    return os.getpid()


@remote("ranking.top", open=True, idempotent=True)
def top(ctx: Any, count: int = 10) -> list[str]:
    return ["ada"][:count]
"""


class Game:
    """A folder with firefly.toml and game.py, and the programs that were started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        self.tcp, self.root, self.web = free_ports(3)
        self.file = folder / "firefly.toml"
        self.file.write_text(
            f"""
            [firefly]
            name = "small"
            plugins = ["gate", "root", "node", "protocols", "web"]
            drain_timeout = 5.0
            [servers.gate.gate]
            listen = {{ url = "tcp://127.0.0.1:{self.tcp}", protocol = "json" }}
            [servers.gate.root]
            listen = "tcp://127.0.0.1:{self.root}"
            [servers.gate.web]
            listen = "http://127.0.0.1:{self.web}"
            static = "."
            [servers.world]
            handlers = ["game"]
            [servers.world.node]
            roots = ["gate"]
            """
        )
        (folder / "game.py").write_text(GAME)

    def run(self, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; `path`: where further distributions are."""
        return subprocess.run(
            command(arguments),
            cwd=self.folder,
            env=environment(path),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command(arguments),
                cwd=self.folder,
                env=environment(),
                stderr=log,
                stdout=log,
                stdin=subprocess.DEVNULL,
                preexec_fn=_hear_interrupts,
            )
        self.started.append(process)
        return process

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_log(self, text: str, times: int = 1) -> None:
        self.wait(lambda: self.log().count(text) >= times)

    def wait(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)
        return found

    def wait_exit(self, process: subprocess.Popen[bytes]) -> int:
        self.wait(lambda: process.poll() is not None)
        assert process.returncode is not None
        return process.returncode

    def ask(self, line: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.tcp), timeout=15) as client:
            client.sendall(line + b"\n")
            return client.makefile("rb").readline()

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            if process.poll() is None:
                process.kill()
                process.wait()


def command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "firefly_core.run", *arguments]


def _hear_interrupts() -> None:
    """Take SIGINT as a program in a terminal does: what a shell starts in the background is born deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def environment(path: Path | None = None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FIREFLY_")}
    folders = [ROOT, ROOT / "plugins", *([path] if path is not None else [])]
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, folders))}


@pytest.fixture
def small_game(tmp_path: Path) -> Iterator[Game]:
    made = Game(tmp_path)
    yield made
    made.close()
