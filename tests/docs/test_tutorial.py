"""docs/tutorial.md is followed by a script, from an empty folder to a game of two servers that is played."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|toml))(?:, (at its end|instead of (\w+)))?\n")
BLOCKS = BLOCK.findall(PAGE.read_text())
PORTS = ("11011", "11010", "10000")
"""What `firefly-run init` writes."""


def wait_until(condition: Callable[[], Any], what: Callable[[], str]) -> None:
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends, what()
        time.sleep(0.05)


class Reader:
    """Does what the page says, block after block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self.said: list[str] = []
        """What the commands printed."""
        self.servers: subprocess.Popen[bytes] | None = None
        self.environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}:{ROOT / 'clients' / 'python'}"}

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def sh(self, line: str) -> None:
        if line.startswith("cd "):
            self.folder /= line.removeprefix("cd ")
            self.port("firefly.toml")
            return
        line = line.replace("firefly-run", f"{sys.executable} -m firefly_core.run")
        self.said.append(self.run(line, shell=True))

    def run(self, command: Any, **options: Any) -> str:
        ended = subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=60, **options
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def port(self, name: str) -> None:
        """Have a file use ports that are free."""
        file = self.folder / name
        text = file.read_text()
        for told, own in self.ports.items():
            text = text.replace(f":{told}", f":{own}")
        file.write_text(text)

    def write(self, text: str) -> str:
        named = FILE.match(text)
        assert named, f"a block without its file's name: {text[:60]}"
        file = self.folder / named[1]
        if named[3]:
            old = re.compile(rf"^(?:@[^\n]*\n)?def {named[3]}\(.*?(?=\n\n\n|\Z)", re.MULTILINE | re.DOTALL)
            text, count = old.subn(lambda _: text[named.end() :].rstrip(), file.read_text())
            assert count == 1, named[0]
        elif named[2]:
            text = f"{file.read_text()}\n\n{text}"
        file.write_text(text)
        self.port(named[1])
        return named[1]

    def start(self) -> None:
        """Do `make run` in a terminal of its own."""
        with self.log.open("wb") as log:
            self.servers = subprocess.Popen(
                [sys.executable, "-m", "firefly_core.run"], cwd=self.folder, stdout=log, stderr=log, env=self.environ
            )
        wait_until(lambda: "all servers ready" in self.log.read_text(), self.log.read_text)

    def kill(self, process: str) -> None:
        """Kill a server with the pid that stands in the log, and wait until it is back."""
        found = re.findall(rf"{process} is ready pid=(\d+)", self.log.read_text())
        os.kill(int(found[-1]), signal.SIGKILL)
        wait_until(lambda: self.log.read_text().count(f"{process} is ready") > len(found), self.log.read_text)

    def stop(self) -> None:
        if self.servers is not None:
            self.servers.terminate()
            assert self.servers.wait(timeout=30) == 0
            self.servers = None


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    made = Reader(tmp_path)
    yield made
    made.stop()


@pytest.mark.timeout(120)
def test_the_page_is_followed_from_an_empty_folder(reader: Reader) -> None:
    program = ""
    for kind, text in BLOCKS:
        if kind == "sh":
            for line in text.splitlines():
                reader.sh(line)
        elif kind == "text":
            reader.start()
            # Pushes are handled beside the program's own lines.
            assert sorted(reader.run([sys.executable, program]).splitlines()) == sorted(text.splitlines())
            reader.kill("gate-1")
            assert "found" in reader.run([sys.executable, program])
            reader.stop()
        else:
            program = reader.write(text)
    passed = [int(count) for said in reader.said for count in re.findall(r"(\d+) passed", said)]
    assert passed == [3, 7]
    assert sum("no problems" in said for said in reader.said) == 2
    reader.start()
    assert "found" in reader.run([sys.executable, "play.py"]), "with the second server too"


def test_every_block_is_one_that_is_followed() -> None:
    assert {kind for kind, _ in BLOCKS} == {"sh", "python", "toml", "text"}
