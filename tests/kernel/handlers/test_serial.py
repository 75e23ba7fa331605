"""One command at a time, each cut at its own deadline, with one deadline a session however many commands park."""

from types import SimpleNamespace

import gevent
import pytest

from firefly_core.channel.deadlines import TICK, Deadlines
from firefly_core.channel.runners import Runners
from firefly_core.errors import CommandTimeout
from firefly_core.kernel.handlers.serial import Serial
from firefly_core.testing import virtual_time

LATE = 2 * TICK


class Session(Serial):
    """Runs the commands it is given, each as long as it says, and notes how they ended."""

    def __init__(self, world, deadlines, runners):
        super().__init__()
        self.deadlines = deadlines
        self.now = world.clock.monotonic
        self.runners = runners
        self.ends = []

    def ask(self, *commands):
        """Run (seconds, timeout) pairs on a runner, one after the other."""
        self.commands = commands
        self.runners.submit(self)

    def on_data(self, _data):
        for seconds, timeout in self.commands:
            begin = self.now()
            command = SimpleNamespace(name="rest")
            self.running = SimpleNamespace(deadline=begin + timeout, command=command, trace="")
            if self.parked is not None:
                self.arm(self.running)
            try:
                gevent.sleep(seconds)
                self.ends.append((self.now() - begin, "done"))
            except CommandTimeout:
                self.ends.append((self.now() - begin, "cut"))
            self.running = None
        self.parked = None


@pytest.fixture
def session():
    with virtual_time(seed=1) as world:
        deadlines = Deadlines(gevent.get_hub().loop, world.clock)
        runners = Runners()
        yield Session(world, deadlines, runners)
        runners.close()
        deadlines.close()


def cuts(session):
    return [(round(after), end) for after, end in session.ends]


def test_a_command_is_cut_at_its_deadline_and_no_earlier(session):
    session.ask((60.0, 10.0))
    gevent.sleep(30)
    ((after, end),) = session.ends
    assert end == "cut"
    assert 10.0 <= after <= 10.0 + LATE


def test_a_short_deadline_behind_a_long_one_is_kept_and_a_long_one_behind_a_short_one_too(session):
    session.ask((1.0, 10.0), (60.0, 2.0), (1.0, 2.0), (60.0, 10.0), (5.0, 7.0))
    gevent.sleep(100)
    assert cuts(session) == [(1, "done"), (2, "cut"), (1, "done"), (10, "cut"), (5, "done")]


def test_a_command_begun_when_an_earlier_one_was_to_be_cut_has_all_of_its_time(session):
    session.ask((9.9, 10.0), (9.9, 10.0), (60.0, 10.0))
    gevent.sleep(100)
    assert cuts(session) == [(10, "done"), (10, "done"), (10, "cut")]


def test_a_thousand_commands_that_park_leave_one_deadline_behind(session):
    session.ask(*[(0.001, 10.0)] * 1000)
    gevent.sleep(5)
    assert len(session.ends) == 1000
    assert session.deadlines.statistics()["held"] == 1
    session.disarm()
    gevent.sleep(60)
    assert session.deadlines.statistics()["held"] == 0
    assert {end for _, end in session.ends} == {"done"}


def test_a_session_that_ends_while_its_command_runs_still_cuts_it(session):
    session.ask((60.0, 10.0))
    gevent.sleep(5)
    session.disarm()
    gevent.sleep(30)
    assert cuts(session) == [(10, "cut")]
