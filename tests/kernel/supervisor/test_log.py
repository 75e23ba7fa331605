"""How the supervisor's lines look."""

from __future__ import annotations

import datetime
import json

import pytest

from firefly_core.kernel.supervisor.log import Log

NOON = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)


class Writer:
    def __init__(self):
        self.text = b""
        self.lost = {}
        self.trouble = ""

    def write(self, source, text):
        self.text += text
        return True

    def lose(self, source, lines):
        self.lost[source] = self.lost.get(source, 0) + lines

    def take_lost(self):
        lost, self.lost = self.lost, {}
        return lost


@pytest.fixture
def writer():
    return Writer()


def test_lines_of_servers_have_their_names_before_them_in_one_width(writer):
    log = Log(writer)
    log.introduce(["gate-1", "a-long-name-1"])
    log.lines("gate-1", [b"one", b""])
    log.lines("a-long-name-1", ["zwölf".encode()])
    assert writer.text.decode() == "gate-1        | one\ngate-1        | \na-long-name-1 | zwölf\n"


def test_control_characters_of_servers_do_nothing_to_the_terminal(writer):
    Log(writer).lines("gate-1", [b"\x1b[2J\x00\x7f\ttab"])
    assert writer.text == b"gate-1 | \\x1b[2J\\x00\\x7f\ttab\n"


def test_colours_differ_by_server_and_end_before_the_text(writer):
    log = Log(writer, colours=True)
    log.introduce(["gate-1", "world-1"])
    log.lines("gate-1", [b"one"])
    log.lines("world-1", [b"two"])
    assert writer.text == b"\x1b[36mgate-1      |\x1b[0m one\n\x1b[33mworld-1     |\x1b[0m two\n"


def test_own_events_show_their_level_and_values(writer):
    log = Log(writer)
    log.say("info", "all servers ready")
    log.say("error", "world-1\nended", pid=7)
    assert writer.text == b"firefly-run: all servers ready\nfirefly-run: error: world-1\\x0aended pid=7\n"


def test_json_lines_pass_and_others_are_wrapped(writer):
    log = Log(writer, clock=lambda: NOON)
    log.json = True
    log.lines("gate-1", [b'{"event": "x"}', b"a \xff print"])
    log.say("warning", "slow", name="gate-1")
    own, wrapped, said = writer.text.splitlines()
    assert own == b'{"event": "x"}'
    assert json.loads(wrapped) == {
        "time": "2026-11-23T12:00:00.000+00:00",
        "level": "info",
        "server": "gate-1",
        "text": "a \ufffd print",
    }
    assert json.loads(said)["event"] == "slow"
    assert json.loads(said)["server"] == "firefly-run"


def test_dropped_lines_are_said_once_and_summed_for_the_status(writer):
    log = Log(writer)
    log.lose("gate-1", 3)
    log.lose("gate-1", 4)
    log.tell_lost()
    log.tell_lost()
    assert writer.text.count(b"lines of gate-1 were dropped") == 1
    assert b"lines=7" in writer.text
    log.lose("gate-1", 1)
    log.tell_lost()
    assert log.lost == {"gate-1": 8}


@pytest.mark.parametrize("json_lines", [False, True])
def test_with_a_folder_lines_go_there_and_own_ones_to_both(writer, tmp_path, json_lines):
    log = Log(writer, clock=lambda: NOON)
    log.json = json_lines
    log.introduce(["world-1"])
    log.keep(tmp_path, 100_000, 3)
    log.lines("world-1", [b"one\x07"])
    log.say("warning", "something", number=3)
    log.close()
    assert b"one" not in writer.text
    assert b"something" in writer.text
    world, own = ((tmp_path / f"{name}.log").read_text() for name in ("world-1", "firefly-run"))
    if json_lines:
        assert json.loads(world)["text"] == "one\x07"
        assert json.loads(own) | {"time": ""} == {
            "time": "", "level": "warning", "server": "firefly-run", "event": "something", "number": 3,
        }  # fmt: skip
    else:
        assert world == "one\\x07\n"
        assert (
            own
            == 'time="2026-11-23T12:00:00.000+00:00" level="warning" server="firefly-run" event="something" number=3\n'
        )


def test_whoever_sits_at_a_terminal_sees_all_lines_although_they_are_kept(writer, tmp_path):
    log = Log(writer, terminal=True)
    log.keep(tmp_path, 100_000, 3)
    log.lines("world-1", [b"one"])
    log.close()
    assert writer.text == b"world-1 | one\n"


def test_what_a_folder_lost_is_said_with_the_reason(writer, tmp_path):
    (tmp_path / "log").write_text("no folder")
    log = Log(writer)
    log.keep(tmp_path / "log", 100_000, 3)
    log.lines("world-1", [b"one"])
    log.close()
    log.tell_lost()
    assert f"lines of world-1 were dropped: {tmp_path}/log/world-1.log: " in writer.text.decode()
    assert log.lost == {"world-1": 1}
    log.tell_lost()
    log.tell_lost()
    assert log.lost == {"world-1": 1}, "the line that says so is none that is lost"


def test_the_same_folder_again_changes_nothing_and_none_ends_it(writer, tmp_path):
    log = Log(writer)
    log.keep(tmp_path, 100_000, 3)
    folder = log.folder
    log.keep(tmp_path, 100_000, 3)
    assert log.folder is folder
    log.keep(None, 100_000, 3)
    log.lines("world-1", [b"one"])
    assert writer.text == b"world-1 | one\n"
