"""The list of what clients and servers may send."""

from __future__ import annotations

import os
import pty
import subprocess
import sys


def test_every_command_push_and_remote_is_one_line_with_its_guards(small_game):
    with (small_game.folder / "game.py").open("a") as file:
        file.write(
            "\nfrom firefly_core import push\n"
            "said = push(2001, list[int], name='said', policy='droppable')\n"
            "bare = push(2002)\n"
        )
    ran = small_game.run("commands")
    assert ran.returncode == 0, ran.stderr
    rows = [line.split("\t") for line in ran.stdout.splitlines()]
    assert rows[0] == ["kind", "id", "name", "server", "signature", "guards", "source"]
    assert [row[:-1] for row in rows[1:]] == [
        ["command", "101", "login", "world", "(ctx: Any) -> str", "public"],
        ["command", "102", "pid", "world", "(ctx: Any) -> int", "public, rate 5/s, timeout 2 s"],
        ["push", "2001", "said", "world", "list[int]", "droppable"],
        ["push", "2002", "push_2002", "world", "", "reliable"],
        ["remote", "", "ranking.top", "world", "(ctx: Any, count: int = 10) -> list[str]", "open, idempotent"],
    ]
    assert rows[1][-1].startswith("game.py:")


def test_handlers_that_several_servers_run_are_one_line(small_game):
    with small_game.file.open("a") as file:
        file.write('\n[servers.moon]\nhandlers = ["game"]\nnode = { roots = ["gate"] }\n')
    rows = [line.split("\t") for line in small_game.run("commands").stdout.splitlines()]
    assert [row[3] for row in rows[1:]] == ["world, moon"] * 3


def test_postponed_annotations_are_shown_without_quotes(small_game):
    game = small_game.folder / "game.py"
    game.write_text("from __future__ import annotations\n" + game.read_text())
    assert "\t(ctx: Any, count: int = 10) -> list[str]\t" in small_game.run("commands").stdout


def test_on_a_terminal_it_is_a_table(small_game):
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "firefly_core.run", "commands"],
        cwd=small_game.folder,
        stdout=end,
        env={**os.environ, "COLUMNS": "160", "TERM": "xterm"},
    )
    os.set_inheritable(end, False)
    assert process.wait(20) == 0
    text = os.read(terminal, 65536).decode()
    assert "ranking.top" in text
    assert "│" in text
    os.close(terminal)
    os.close(end)
