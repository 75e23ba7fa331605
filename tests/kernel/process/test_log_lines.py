"""A server's log lines."""

from __future__ import annotations

import json
import logging
import os

import pytest

from firefly_core.kernel.process.log_lines import JsonLines, LogHandler, TextLines


def record(message: str, *arguments: object, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("firefly.world-1", logging.WARNING, "file.py", 1, message, arguments, None)
    made.created = 1795435200.0625
    for name, value in more.items():
        setattr(made, name, value)
    return made


def failure() -> logging.LogRecord:
    try:
        raise ValueError("broken")
    except ValueError as error:
        return record("failed", exc_info=(type(error), error, error.__traceback__))


def test_text_is_pairs_with_quotes_where_they_are_needed():
    line = TextLines("world-1").format(record("it is %s", "slow", firefly={"session": 7, "uid": "ada=1"}))
    assert line == (
        'time=2026-11-23T12:00:00.062Z level=warning server=world-1 event="it is slow" session=7 uid="ada=1"'
    )


@pytest.mark.parametrize(
    "text", ["a\nlevel=error", "\x1b[2J", 'say "x"', "\x7f", "", "zwölf 12", "\u202eevil", "\u2028"]
)
def test_a_value_never_begins_a_line_of_its_own(text):
    line = TextLines("world-1").format(record("%s", text))
    assert line.isprintable()
    assert "\n" not in line
    assert json.loads(JsonLines("world-1").format(record("%s", text)))["event"] == text


def test_json_is_one_object_with_the_traceback_in_it():
    line = JsonLines("world-1").format(failure())
    assert "\n" not in line
    values = json.loads(line)
    assert values["server"] == "world-1"
    assert values["level"] == "warning"
    assert values["traceback"].endswith("ValueError: broken")


def test_a_traceback_follows_the_text():
    first, *rest = TextLines("world-1").format(failure()).splitlines()
    assert first.endswith("event=failed")
    assert rest[-1] == "ValueError: broken"


def test_long_values_are_cut():
    assert len(TextLines("world-1").format(record("x" * 100_000))) < 1200


def test_a_reader_who_stops_costs_lines_and_no_time_and_is_told_how_many():
    reading, writing = os.pipe()
    handler = LogHandler(writing)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for number in range(2000):
        handler.emit(record("%s", f"{number:099}"))
    assert 1300 < handler.dropped < 2000
    written = 2000 - handler.dropped
    text = os.read(reading, 1_000_000)
    handler.emit(record("after"))
    text += os.read(reading, 1_000_000)
    lines = text.decode().splitlines()
    assert lines[written - 1 :] == [f"{written - 1:099}", f"{2000 - written} log lines were dropped here", "after"]
    os.close(reading)
    os.close(writing)


def test_a_reader_who_has_gone_is_no_error():
    reading, writing = os.pipe()
    handler = LogHandler(writing)
    os.dup2(os.open(os.devnull, os.O_RDONLY), reading)
    handler.emit(record("nobody hears"))
    assert handler.dropped == 1
    os.close(writing)
    os.close(reading)
