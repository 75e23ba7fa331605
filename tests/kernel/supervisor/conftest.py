"""A supervisor as a real process over fake servers; whatever is left of it when a test ends is killed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

PROGRAMS = Path(__file__).parent / "programs"
QUICK = {
    "restarts": {"first": 0.05, "longest": 0.4, "healthy": 5.0, "failures": 5, "window": 10.0},
    "patience": {"drain": 2.0, "kill": 0.5, "hurry": 0.5},
}


class House:
    """A folder with a plan, a behaviour for each fake server, and the supervisor that runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.seen: set[int] = set()
        self.began_at = 0
        self.declare({"world": {}})
        self.behave({})
        (folder / "times.json").write_text(json.dumps(QUICK))
        (folder / "events").touch()

    def declare(self, servers: dict[str, dict[str, Any]], **plan: Any) -> None:
        listed = [{"name": name, "fingerprint": "1", **keys} for name, keys in servers.items()]
        document = {
            "name": "meadow",
            "path": str(self.folder / "firefly.toml"),
            "var": str(self.folder / "var"),
            "servers": listed,
            **plan,
        }
        (self.folder / "plan.json").write_text(json.dumps(document))

    def behave(self, table: dict[str, dict[str, Any]]) -> None:
        (self.folder / "behaviour.json").write_text(json.dumps(table))

    def times(self, **changed: dict[str, Any]) -> None:
        times = {key: {**QUICK.get(key, {}), **value} for key, value in {**QUICK, **changed}.items()}
        (self.folder / "times.json").write_text(json.dumps(times))

    def start(self, stderr: Any = None, *, controlling: bool = False) -> subprocess.Popen[bytes]:
        """Start a supervisor; `controlling`: stderr is a terminal, and becomes the one that it belongs to."""

        def belong() -> None:
            os.setsid()
            fcntl.ioctl(2, termios.TIOCSCTTY, 0)

        with (self.folder / "log").open("ab") as log:
            self.began_at = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAMS / "supervise.py"), str(self.folder)],
                stderr=stderr or log,
                stdin=subprocess.DEVNULL,
                preexec_fn=belong if controlling else None,
            )
        return self.process

    def log(self) -> str:
        """Give what was logged since the last start."""
        return (self.folder / "log").read_bytes()[self.began_at :].decode(errors="replace")

    def events(self, what: str | None = None, name: str | None = None) -> list[dict[str, Any]]:
        lines = (self.folder / "events").read_text().splitlines()
        every = [json.loads(line) for line in lines]
        self.seen.update(event["pid"] for event in every)
        self.seen.update(event["child"] for event in every if "child" in event)
        return [event for event in every if what in (None, event["what"]) and name in (None, event["name"])]

    def wait(self, condition: Callable[[], Any], seconds: float = 15.0) -> Any:
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"{self.log()}\n{(self.folder / 'events').read_text()}"
            time.sleep(0.01)
        return found

    def wait_log(self, text: str, times: int = 1, seconds: float = 15.0) -> None:
        self.wait(lambda: self.log().count(text) >= times, seconds)

    def wait_ready(self) -> None:
        self.wait_log("firefly-run: all servers ready")

    def wait_exit(self, seconds: float = 15.0) -> int:
        assert self.process is not None
        self.wait(lambda: self.process is not None and self.process.poll() is not None, seconds)
        assert self.process.returncode is not None
        return self.process.returncode

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit()

    def pid_of(self, name: str) -> int:
        return int(self.events("begin", name)[-1]["pid"])

    def survivors(self) -> list[int]:
        """Give which of the processes that were ever seen still run."""
        self.events()
        return [pid for pid in self.seen if alive(pid)]

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        with contextlib.suppress(AssertionError):
            self.wait(lambda: not self.survivors(), 3)
        for pid in self.survivors():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.close()


@pytest.fixture
def plain() -> Callable[..., str]:
    """Run a text as a program that gevent has not patched, as the supervisor is; gives what it printed."""

    def run(program: str, *arguments: object) -> str:
        command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run
