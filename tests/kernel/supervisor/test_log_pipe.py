"""The pipe that a server prints into."""

from __future__ import annotations

import os

import pytest
from gevent.monkey import get_original

from firefly_core.kernel.supervisor.log_pipe import LINE, LogPipe


class Loop:
    def __init__(self):
        self.time = 0.0
        self.readers = {}

    def now(self):
        return self.time

    def watch(self, descriptor, readable):
        self.readers[descriptor] = readable

    def forget(self, descriptor):
        self.readers.pop(descriptor, None)

    def turn(self):
        for readable in list(self.readers.values()):
            readable()


class Log:
    def __init__(self):
        self.printed = []
        self.lost = 0

    def lines(self, name, lines):
        self.printed.extend(lines)

    def lose(self, name, lines):
        self.lost += lines


class Desk:
    def __init__(self, **options):
        self.loop, self.log = Loop(), Log()
        reading, self.writing = os.pipe()
        self.pipe = LogPipe(self.loop, self.log, "world-1", reading, **options)

    def print(self, data):
        os.write(self.writing, data)
        self.loop.turn()


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.pipe.close()
    os.close(made.writing)


def test_lines_are_put_together_from_whatever_arrives(desk):
    for part in (b"on", b"e\ntw", b"o\r\n", b"\nthree"):
        desk.print(part)
    assert desk.log.printed == [b"one", b"two", b""]
    desk.pipe.close()
    assert desk.log.printed == [b"one", b"two", b"", b"three"]


def test_a_line_without_end_is_cut_and_kept_within_bounds(desk):
    for _ in range(5):
        desk.print(b"x" * 10_000)
    assert [len(line) for line in desk.log.printed] == [LINE] * 3
    desk.print(b"y\n")
    assert sum(map(len, desk.log.printed)) == 50_001


def test_closing_takes_what_is_in_the_pipe_although_somebody_holds_the_other_end(desk):
    os.write(desk.writing, b"last words\n")
    desk.pipe.close()
    assert desk.log.printed == [b"last words"]
    assert not desk.pipe.open
    assert desk.loop.readers == {}


def test_the_end_of_the_pipe_closes_it():
    desk = Desk()
    os.write(desk.writing, b"no newline")
    get_original("os", "close")(desk.writing)  # gevent's own works a turn later
    desk.loop.turn()
    desk.loop.turn()
    assert desk.log.printed == [b"no newline"]
    assert not desk.pipe.open
    desk.pipe.close()


def test_a_flood_is_read_and_counted_but_not_written_and_a_second_later_there_is_room_again():
    desk = Desk(rate=1000)
    for _ in range(20):
        desk.print(b"x" * 99 + b"\n")
    assert len(desk.log.printed) == 10
    assert desk.log.lost == 10
    desk.loop.time = 0.5
    for _ in range(20):
        desk.print(b"x" * 99 + b"\n")
    assert len(desk.log.printed) == 15
    assert desk.log.lost == 25
    desk.pipe.close()
    os.close(desk.writing)
