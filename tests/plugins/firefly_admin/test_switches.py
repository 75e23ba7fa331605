import logging

import pytest
from firefly_admin.switches import Switches, read_switches

log = logging.getLogger("firefly.test")


def test_what_is_off_is_off_for_the_next_one_who_reads(tmp_path):
    path = tmp_path / "var" / "admin.switches"
    switches = Switches(path, log)
    assert switches.off == frozenset()
    switches.turn([("command", "catch"), ("remote", "ranking.submit")], off=True)
    switches.turn([("command", "catch")], off=False)
    switches.turn([("command", "never")], off=False)
    assert switches.off == {("remote", "ranking.submit")}
    assert Switches(path, log).off == switches.off
    assert [file.name for file in path.parent.iterdir()] == ["admin.switches"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '[["command"]]', '[["command", "x", "y"]]', "\xff", '[["command", 7]]']
)
def test_a_file_that_is_damaged_is_told_and_switches_nothing_off(tmp_path, caplog, text):
    path = tmp_path / "admin.switches"
    path.write_bytes(text.encode("latin-1"))
    assert read_switches(path, log) == frozenset()
    assert "cannot be read" in caplog.text


def test_kinds_that_cannot_be_switched_are_left_out(tmp_path):
    path = tmp_path / "admin.switches"
    path.write_text('[["every", "tick"], ["command", "catch"]]')
    assert read_switches(path, log) == {("command", "catch")}


def test_what_cannot_be_written_down_is_not_changed(tmp_path):
    path = tmp_path / "admin.switches"
    switches = Switches(path, log)
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        switches.turn([("command", "catch")], off=True)
    assert switches.off == frozenset()
