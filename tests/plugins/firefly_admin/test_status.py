"""`firefly-run status` against a running admin server, and against none."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from firefly_admin.status import COLUMNS, show, status

from firefly_core.cli.invocation import Invocation

TOKEN = "a token of the tests, forty letters long"


@pytest.fixture
def run(tmp_path):
    """Give a function that runs the command in a folder whose firefly.toml names the admin's real port."""

    def call(desk, *arguments, token=TOKEN, port=None):
        file = tmp_path / "cli" / "firefly.toml"
        file.parent.mkdir(exist_ok=True)
        lines = [
            "[firefly]",
            'plugins = ["admin"]',
            "[servers.admin.admin]",
            f'listen = "http://127.0.0.1:{port or desk.port}"',
        ]
        file.write_text("\n".join([*lines, f'token = "{token}"' if token else ""]))
        return CliRunner().invoke(status, list(arguments), obj=Invocation(file))

    return call


def test_it_tells_every_server_in_columns(desk, run):
    ended = run(desk)
    assert ended.exit_code == 0, ended.output
    head, *rows = ended.output.splitlines()
    assert tuple(head.split("\t")) == COLUMNS
    assert [row.split("\t")[:2] for row in rows] == [["gate-1", "up"], ["world-1", "up"], ["admin-1", "up"]]


def test_as_json_it_tells_everything(desk, run):
    told = json.loads(run(desk, "--json").output)
    assert [server["name"] for server in told["servers"]] == ["gate-1", "world-1", "admin-1"]
    assert told["servers"][1]["about"]["services"] == ["node"]


def test_what_is_down_or_switched_off_is_said_and_the_status_is_1(desk, run):
    desk.act("disable", {"command": "echo"})
    assert run(desk).exit_code == 0
    desk.cluster.crash("world")
    desk.wait(lambda: not desk.admin.survey.views["world-1"].up, "down")
    ended = run(desk)
    assert ended.exit_code == 1
    assert "# world-1 is down: " in ended.output
    assert "# gate-1 and world-1 are not connected" in ended.output
    assert "# command echo is switched off" in ended.output


def test_a_server_that_has_just_come_back_is_said_and_everything_is_up(desk, run, supervisor):
    now = desk.cluster.kernel("admin").clock.time()
    supervisor.processes["world-1"].update(crashes=2, crash={"at": now - 90, "ending": "SIGSEGV"})
    desk.look()
    ended = run(desk)
    assert ended.exit_code == 0
    assert "# world-1 is up again: it ended 1 min ago: SIGSEGV, 2 times so far" in ended.output


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_for_a_person_it_is_a_table_that_fits_the_terminal(desk, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb")
    show(desk.get("/api/topology").json)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert ("memory" in lines[1]) is (width >= 100)
    for process in ("gate-1", "world-1", "admin-1"):
        (row,) = [line for line in lines if process in line]
        assert "up" in row


def test_nobody_who_answers_a_wrong_token_and_no_token_are_said_in_a_line(desk, run):
    ended = run(desk, port=1)
    assert ended.exit_code == 1
    assert "nobody answers at http://127.0.0.1:1: " in ended.output
    ended = run(desk, token="x" * 40)
    assert ended.exit_code == 1
    assert "says 401: that is not the token" in ended.output
    ended = run(desk, token=None)
    assert ended.exit_code == 78
    assert "admin.token: has no token that you may read" in ended.output
    assert "x" * 40 not in ended.output


def test_while_the_admin_is_away_the_supervisors_word_is_shown(desk, run, monkeypatch):
    asked = []

    def ask(path, what, **values):
        asked.append((path.name, what))
        process = {"name": "world-1", "state": "fatal", "since": 0, "pid": None, "starts": 5, "crashes": 5}
        return {"supervisor": {}, "processes": [{**process, "ending": "SIGSEGV"}]}

    monkeypatch.setattr("firefly_core.cli.operator.ask", ask)
    ended = run(desk, port=1)
    assert ended.exit_code == 1
    assert asked == [("firefly.sock", "status")]
    assert "nobody answers at http://127.0.0.1:1: " in ended.output
    assert [line.split()[:2] for line in ended.output.splitlines()][-1] == ["world-1", "fatal"]


def test_a_game_without_an_admin_is_told_how_to_get_one(tmp_path):
    file = tmp_path / "firefly.toml"
    file.write_text('[firefly]\nplugins = ["root", "admin"]\n[servers.gate.root]\nlisten = "tcp://127.0.0.1:10000"\n')
    ended = CliRunner().invoke(status, [], obj=Invocation(file))
    assert ended.exit_code == 78
    assert "add [servers.admin.admin]" in ended.output
