import logging

import pytest
from firefly_admin.log_tail import KEPT, MOST, LogTail


@pytest.fixture
def tail():
    made = LogTail(["world-2"])
    root = logging.getLogger()
    root.addHandler(made)
    yield made
    root.removeHandler(made)


def events(answer):
    return [line["event"] for line in answer["lines"]]


def test_lines_are_kept_with_their_level_fields_and_traceback(tail):
    log = logging.getLogger("firefly.world-1")
    log.warning("a %s", "line", extra={"firefly": {"uid": "ada", "trace": "7f"}})
    try:
        raise KeyError("x")
    except KeyError:
        log.exception("it failed")
    first, second = tail.lines()["lines"]
    assert (first["event"], first["level"], first["logger"], first["fields"]) == (
        "a line",
        "warning",
        "firefly.world-1",
        {"uid": "ada", "trace": "7f"},
    )
    assert second["traceback"].startswith("Traceback")
    assert second["traceback"].endswith("KeyError: 'x'\n")
    assert tail.counts == {"warning": 1, "error": 1}


def test_the_lines_of_another_server_in_the_same_process_are_not_this_ones(tail):
    logging.getLogger("firefly.world-2").warning("mine")
    logging.getLogger("firefly.world-2.audit").warning("mine too")
    logging.getLogger("firefly.channel").warning("nobody's")
    logging.getLogger("game").warning("the game's")
    assert events(tail.lines()) == ["nobody's", "the game's"]


def test_who_looks_again_gets_what_is_new(tail):
    log = logging.getLogger("firefly.world-1")
    log.warning("one")
    last = tail.lines()["last"]
    log.warning("two")
    answer = tail.lines(last)
    assert events(answer) == ["two"]
    assert events(tail.lines(answer["last"])) == []


def test_lines_are_found_by_level_and_text(tail):
    log = logging.getLogger("firefly.world-1")
    log.setLevel(logging.DEBUG)
    log.debug("a secret door")
    log.warning("A door opened", extra={"firefly": {"uid": "Bob"}})
    log.error("the roof")
    assert events(tail.lines(level="error")) == ["the roof"]
    assert events(tail.lines(level="warning", text="DOOR")) == ["A door opened"]
    assert events(tail.lines(text="bob")) == ["A door opened"]
    assert events(tail.lines(level="no level", text="secret")) == ["a secret door"]
    log.setLevel(logging.NOTSET)


def test_only_the_newest_are_kept_and_only_so_many_are_told(tail):
    log = logging.getLogger("firefly.world-1")
    for number in range(KEPT + 50):
        log.warning("line %d", number)
    answer = tail.lines(limit=10_000)
    assert len(answer["lines"]) == MOST
    assert answer["lines"][-1]["event"] == f"line {KEPT + 49}"
    assert answer["last"] == KEPT + 50
    assert len(tail._lines) == KEPT
    assert events(tail.lines(limit=2)) == [f"line {KEPT + 48}", f"line {KEPT + 49}"]


def test_long_values_are_cut(tail):
    logging.getLogger("firefly.world-1").warning("x" * 9999, extra={"firefly": {"uid": "y" * 9999}})
    (line,) = tail.lines()["lines"]
    assert (len(line["event"]), len(line["fields"]["uid"])) == (1024, 1024)


def test_a_record_that_cannot_be_formatted_breaks_nothing(tail, capsys):
    tail.handle(logging.makeLogRecord({"name": "firefly.world-1", "msg": "%d", "args": ("no number",)}))
    logging.getLogger("firefly.world-1").warning("next")
    assert events(tail.lines()) == ["next"]
    capsys.readouterr()
