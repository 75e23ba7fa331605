"""docs/meadow.md is done as it says, in a copy of the game."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "meadow.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.py)\n")
KEY = re.compile(r"# firefly\.toml, in \[(\S+)\]\n((\w+) = .*\n)")


class Walk:
    """The page's blocks, followed in a house."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.blocks = BLOCK.findall(PAGE.read_text())
        self.output: dict[str, str] = {}
        """What a program is said to print, by its file."""
        for (_, code), (kind, text) in zip(self.blocks, self.blocks[1:], strict=False):
            if kind == "text":
                self.output[FILE.match(code)[1]] = text  # type: ignore[index]

    def follow(self) -> None:
        """Write every file and set every key that the page tells to."""
        for kind, code in self.blocks:
            if kind == "python":
                named = FILE.match(code)
                assert named, f"a block without its file's name: {code[:60]}"
                ported = code.replace("Client()", f"Client(port={self.house.datapack})")
                ported = ported.replace("10000", str(self.house.root))
                (self.house.folder / named[1]).write_text(ported)
            elif kind == "toml":
                self.set_key(code)

    def set_key(self, code: str) -> None:
        told = KEY.fullmatch(code)
        assert told, code
        section, line, key = told.groups()
        file = self.house.folder / "firefly.toml"
        before, header, rest = file.read_text().partition(f"[{section}]\n")
        assert header, section
        body, gap, others = rest.partition("\n\n")
        kept = [old for old in body.splitlines(keepends=True) if not old.startswith(f"{key} =")]
        file.write_text(before + header + line + "".join(kept) + gap + others)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "PYTHONPATH": f"{self.house.folder}:{ROOT}:{ROOT / 'plugins'}"}
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.house.folder, env=environ, capture_output=True, text=True
        )


@pytest.fixture
def walk(house: Any) -> Walk:
    made = Walk(house)
    made.follow()
    return made


def test_what_the_page_says_is_what_happens(house: Any, walk: Walk, wait_until: Callable[..., Any]) -> None:
    checked = walk.run("-m", "firefly_core.run", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "106" in walk.run("-m", "firefly_core.run", "commands").stdout
    house.start()
    assert set(walk.output) == {"try_wave.py", "try_ranking.py"}
    for program, output in walk.output.items():
        ended = walk.run(program)
        assert (ended.stdout, ended.stderr) == (output, "")
    with urllib.request.urlopen(f"{house.url}ranking.json") as answer:
        assert json.load(answer) == []


def test_the_tests_of_the_page_pass(walk: Walk) -> None:
    ended = walk.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_wave.py")
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


def test_every_file_that_the_page_points_to_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGE.read_text())
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []
