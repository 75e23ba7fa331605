"""The whole game as a player gets it: real processes by `firefly-run`, a real browser, a real terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("browser_driver.py")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def wait_until(condition: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    """Wait until `condition` gives something true, and give it; fails with `what` when it does not."""
    ends = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < ends, f"not within {timeout} s: {what}"
        gevent.sleep(0.02)


class House:
    """A copy of the shipped game on ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.datapack, self.websocket, self.root, self.web, self.admin = free_ports(5)
        self.log = folder / "log.txt"
        self.processes: list[subprocess.Popen[bytes]] = []
        shutil.copytree(ROOT / "example_game", folder / "example_game", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "clients" / "javascript", folder / "clients" / "javascript")
        text = (ROOT / "firefly.toml").read_text()
        ports = {11009: self.datapack, 11010: self.websocket, 10000: self.root, 8000: self.web, 9998: self.admin}
        for before, after in ports.items():
            text = text.replace(f":{before}", f":{after}")
        (folder / "firefly.toml").write_text(text)
        page = folder / "example_game" / "page" / "index.html"
        html = page.read_text()
        assert 'content="11010"' in html
        page.write_text(html.replace('content="11010"', f'content="{self.websocket}"'))

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.web}/"

    def run(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start `firefly-run`; what it says goes to the log."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "firefly_core.run", *arguments],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", **environ},
            )
        self.processes.append(process)
        return process

    def start(self) -> None:
        """Start everything and wait until all servers are ready."""
        self.run()
        self.wait_log("all servers ready")

    def wait_log(self, text: str, timeout: float = 60.0) -> None:
        """Wait until the log has that text."""
        wait_until(lambda: text in self.log.read_text(), f"{text!r} in {self.log}:\n{self.log.read_text()}", timeout)

    def pid(self, process: str) -> int:
        """Give the pid of the newest process of that name (`world-1`) that became ready."""
        return int(re.findall(rf"{process} is ready pid=(\d+)", self.log.read_text())[-1])

    def kill(self, process: str) -> None:
        """`kill -9` one server."""
        os.kill(self.pid(process), signal.SIGKILL)

    def stop(self) -> None:
        """Stop everything, last started first."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Give a copy of the game, not started; what was started is stopped after the test."""
    made = House(tmp_path)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shared_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give the copy of the game that the tests of a file share, not started."""
    made = House(tmp_path_factory.mktemp("house"))
    yield made
    made.stop()


class Browser:
    """Real Chromium, driven from a process that gevent has not patched. Each tab is a Playwright page, by name."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, tab: str, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of a tab's page and give its result; the first call opens the tab."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([tab, method, arguments, options]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the browser has gone"
        answer = json.loads(line)
        assert "error" not in answer, f"{tab}.{method}{arguments}: {answer['error']}"
        return answer["result"]

    def see(self, tab: str, condition: str, timeout: float = 40.0) -> None:
        """Wait until a JavaScript expression is true in a tab."""
        # not Playwright's own waiting: it needs `eval` in the page, which the page's policy forbids
        wait_until(lambda: self.do(tab, "evaluate", f"Boolean({condition})"), f"{tab}: {condition}", timeout)

    def problems(self) -> list[str]:
        """Give what the pages complained about: errors, refused resources, requests to anywhere else."""
        found: list[str] = self.do("", "problems")
        return found

    def forget(self) -> None:
        """Close all tabs, with what they had stored."""
        self.do("", "forget")

    def close(self) -> None:
        """Close the browser."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Give the browser of all tests: to start one costs more than most tests do with it."""
    made = Browser()
    yield made
    made.close()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Give the browser without a tab and without anything stored."""
    yield chromium
    chromium.forget()


class TerminalPlayer:
    """Runs `python -m example_game.terminal NAME` in a terminal of 100 columns and 30 rows, and sees what it draws."""

    def __init__(self, name: str, port: int) -> None:
        self._own, theirs = pty.openpty()
        fcntl.ioctl(self._own, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self._seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "example_game.terminal", name, "--port", str(port)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=ROOT,
            start_new_session=True,
        )

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._own, keys.encode())

    def screen(self) -> str:
        """Give everything that was written lately, without colours: the last two pictures, and an error if there is."""
        while select.select([self._own], [], [], 0)[0]:
            self._seen += os.read(self._own, 65536)
        pictures = self._seen.decode(errors="replace").split("\x1b[H")
        self._seen = "\x1b[H".join(pictures[-3:]).encode()
        return ESCAPES.sub("", "\n".join(pictures[-3:]))

    def modes_are_back(self) -> bool:
        """Whether the terminal's modes are those of before."""
        return termios.tcgetattr(self._theirs) == self.before

    def close(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=10)
        os.close(self._own)
        os.close(self._theirs)


@pytest.fixture
def terminal() -> Iterator[Callable[[str, int], TerminalPlayer]]:
    """Give a function that sits a player of that name down at a terminal, to play at that port."""
    players: list[TerminalPlayer] = []

    def sit_down(name: str, port: int) -> TerminalPlayer:
        players.append(TerminalPlayer(name, port))
        return players[-1]

    yield sit_down
    for player in players:
        player.close()


@pytest.fixture(name="wait_until")
def give_wait_until() -> Callable[..., Any]:
    """Give `wait_until(condition, what, timeout)`."""
    return wait_until
