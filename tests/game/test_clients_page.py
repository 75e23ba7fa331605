"""docs/clients.md does what it says: each program on it is run against the Meadow, and prints what stands below it."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gevent import socket

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)
NAME = re.compile(r"(?:#|//) (\w+\.\w+)\n")
COMPILER = "typescript@5.6.3"
OPTIONS = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"]


def named(block: tuple[str, str]) -> str:
    found = NAME.match(block[1])
    return found[1] if found else ""


PROGRAMS = {
    named(block): (block[1], output[1])
    for block, output in itertools.pairwise(BLOCKS)
    if block[0] in ("python", "js") and output[0] == "text"
}


@pytest.fixture
def play(
    house: Any, npm: Callable[..., Path], tmp_path: Path, wait_until: Callable[..., Any]
) -> Callable[[str, str], str]:
    """Start the Meadow with the page's listeners; give a function that runs a program and gives what it prints."""
    listen = next(text for kind, text in BLOCKS if kind == "toml")
    where, _, lines = listen.partition("\n")
    assert where == "# firefly.toml, in listen of [servers.gate.gate]"
    file = house.folder / "firefly.toml"
    before, head, after = file.read_text().partition("listen = [\n")
    json_port, ws_port = free_ports()
    ported = {"11012": str(json_port), "11013": str(ws_port), "11010": str(house.websocket)}

    def port(text: str) -> str:
        for old, new in ported.items():
            text = text.replace(old, new)
        return text

    file.write_text(before + head + port(lines) + after)
    house.start()
    wait_until(lambda: can_log_in(json_port), "the gate knows the world")
    folder = tmp_path / "programs"
    folder.mkdir()
    shutil.copy(ROOT / "clients" / "javascript" / "firefly-client.js", folder)
    (folder / "node_modules").symlink_to(npm("ws@8.18.0"))

    def run(name: str, code: str) -> str:
        (folder / name).write_text(port(code))
        program = ["node", name] if name.endswith(".mjs") else [sys.executable, name]
        environ = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}
        ran = subprocess.run(program, cwd=folder, env=environ, capture_output=True, text=True, timeout=40)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert ran.stderr == ""
        return ran.stdout

    return run


def can_log_in(port: int) -> bool:
    """Whether a login is answered already: until the world has found its gate, clients are told to try again."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(b'{"id": 1, "cmd": "login", "body": {"name": "Zoe"}}\n')
        return b'"body"' in line.recv(65536)


def free_ports() -> list[int]:
    """Give two ports that nobody has just now."""
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    return ports


def test_every_program_prints_what_stands_below_it(play: Callable[[str, str], str]) -> None:
    assert set(PROGRAMS) == {"ada.py", "ben.py", "cleo.mjs", "eve.py"}
    for name, (code, output) in PROGRAMS.items():
        # A push may overtake the answer of the request behind it, or be overtaken: the order of lines is not promised.
        assert sorted(play(name, code).splitlines()) == sorted(output.splitlines()), name


def test_no_block_is_left_out() -> None:
    kinds = {"python", "js"}
    assert {named(block) for block in BLOCKS if block[0] in kinds} == set(PROGRAMS)
    assert [kind for kind, _ in BLOCKS if kind not in {*kinds, "text"}] == ["toml", "sh", "ts"]


def test_the_types_of_the_meadow_are_written_and_the_example_compiles(
    house: Any, npm: Callable[..., Path], tmp_path: Path
) -> None:
    (command,) = (text.strip() for kind, text in BLOCKS if kind == "sh")
    assert command == "firefly-run commands --typescript > meadow.ts"
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}
    wrote = subprocess.run(
        [sys.executable, "-m", "firefly_core.run", "commands", "--typescript"],
        cwd=house.folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert wrote.returncode == 0, wrote.stderr
    (tmp_path / "meadow.ts").write_text(wrote.stdout)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    for source in ("firefly-client.js", "firefly-client.d.ts"):
        shutil.copy(ROOT / "clients" / "javascript" / source, tmp_path)
    (example,) = (text for kind, text in BLOCKS if kind == "ts")
    (tmp_path / "dora.ts").write_text(example)
    compiler = npm(COMPILER) / "typescript" / "bin" / "tsc"
    ran = subprocess.run(
        ["node", str(compiler), *OPTIONS, "dora.ts"], cwd=tmp_path, capture_output=True, text=True, timeout=50
    )
    assert ran.stdout == ""
    assert ran.returncode == 0
