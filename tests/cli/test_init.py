"""A new game: made by one command, it checks, passes its own test and can be played."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


@pytest.fixture
def demo(small_game):
    """The folder of a game that `init` has just made."""
    ran = small_game.run("init", "demo")
    assert ran.returncode == 0, ran.stderr
    assert "make test" in ran.stdout
    return small_game.folder / "demo"


def make(folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", target], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_it_passes_its_own_test_and_its_own_check(demo):
    tested = make(demo, "test")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "4 passed" in tested.stdout
    checked = make(demo, "check")
    assert checked.stdout == "firefly.toml: no problems: 2 servers, 2 processes, 4 plugins, 2 commands\n"


def test_its_files_bear_its_name_and_no_mark_of_the_template(demo):
    assert tomllib.loads((demo / "firefly.toml").read_text())["firefly"]["name"] == "demo"
    files = [path for path in demo.rglob("*") if path.is_file()]
    assert sorted(path.relative_to(demo).as_posix() for path in files) == [
        ".gitignore",
        "Makefile",
        "firefly.toml",
        "game.py",
        "tests/test_game.py",
    ]
    assert not [path for path in files if "@NAME@" in path.read_text() or "@PYTHON@" in path.read_text()]
    assert f"PYTHON ?= {sys.executable}\n" in (demo / "Makefile").read_text()


def test_it_can_be_played(small_game, demo):
    text = (demo / "firefly.toml").read_text()
    for written, free in (("11011", small_game.tcp), ("11010", small_game.web), ("10000", small_game.root)):
        text = text.replace(written, str(free))
    (demo / "firefly.toml").write_text(text)
    small_game.start("-c", "demo/firefly.toml")
    small_game.wait_log("all servers ready")

    def login():
        answer = json.loads(small_game.ask(b'{"id": 1, "cmd": "login", "body": {"name": "ada"}}'))
        return answer if "error" not in answer else None

    assert small_game.wait(login) == {"id": 1, "cmd": "login", "body": ["ada"]}


def test_a_folder_that_holds_something_is_left_alone(small_game):
    (small_game.folder / "demo").mkdir()
    (small_game.folder / "demo" / "thesis.txt").write_text("years of work")
    ran = small_game.run("init", "demo")
    assert ran.returncode == 2
    assert "is not empty" in ran.stderr
    assert [path.name for path in (small_game.folder / "demo").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("name", ["7up", "a b", "..", "-x", "é", "x" * 33])
def test_a_name_that_no_server_could_bear_is_refused(small_game, name):
    before = sorted(small_game.folder.iterdir())
    ran = small_game.run("init", "--", name)
    assert ran.returncode == 2
    assert "NAME begins with a letter" in ran.stderr
    assert sorted(small_game.folder.iterdir()) == before


def test_a_folder_that_cannot_be_made_is_said(small_game):
    (small_game.folder / "file").write_text("")
    ran = small_game.run("init", "file/demo")
    assert ran.returncode == 2
    assert "cannot be written" in ran.stderr
