"""A hub that is held up is measured, and whoever holds it up is named in one line."""

import logging
import signal
import sys
import time

import gevent
import pytest
from gevent.monkey import get_original

from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.process.hub_watch import NOBODY, HubWatch
from firefly_core.kernel.reload.cut import Raised, cut

block = get_original("time", "sleep")


def greedy(ctx):
    block(0.25)


GREEDY = Handler(kind="command", name="greedy", function=greedy, source=__file__)


@pytest.fixture(autouse=True)
def free_alarm():
    """Set aside the alarm of pytest's own time limit."""
    handler = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    timer = signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *timer)


@pytest.fixture
def watch(caplog):
    made = HubWatch(logging.getLogger("firefly.test"), 0.1, lambda: [GREEDY])
    made.start()
    gevent.sleep(0.12)  # two beats: the alarm and the timer are both at work
    yield made
    made.stop()


def wait_line(caplog, count=1, timeout=5.0):
    with gevent.Timeout(timeout):
        while len(caplog.records) < count:
            gevent.sleep(0.01)
    return [record.getMessage() for record in caplog.records]


def test_a_handler_that_holds_up_the_hub_is_named_with_its_line(watch, caplog):
    greedy(None)
    (line,) = wait_line(caplog)
    assert line.startswith("the hub was blocked for 0.")
    assert "by command greedy at " in line
    assert "test_hub_watch.py" in line
    assert "greedy" in line
    assert watch.statistics()["blocked_total"] == 1
    assert 0.15 < watch.statistics()["longest_seconds"] < 2.5


def test_code_that_is_no_handler_is_named_by_its_lines(watch, caplog):
    def somewhere_else():
        block(0.25)

    somewhere_else()
    assert "somewhere_else" in wait_line(caplog)[0]


def test_a_spin_in_python_is_named_as_well(watch, caplog):
    ends = time.monotonic() + 0.3
    while time.monotonic() < ends:
        pass
    assert "test_a_spin_in_python_is_named_as_well" in wait_line(caplog)[0]


def test_two_lines_are_a_second_apart_and_say_what_came_between(watch, caplog):
    greedy(None)
    wait_line(caplog)
    for _ in range(3):
        gevent.sleep(0.06)
        greedy(None)
    gevent.sleep(1.0)
    greedy(None)
    assert any("times more since the last such line" in line for line in wait_line(caplog, 2))


def test_waiting_is_not_blocking(watch, caplog):
    gevent.sleep(0.4)
    assert watch.blocked == 0
    assert watch.lag.count >= 4
    assert caplog.records == []


def test_a_hub_that_does_not_come_back_is_told_by_the_alarm(monkeypatch, caplog):
    monkeypatch.setattr("firefly_core.kernel.process.hub_watch.LONG", 0.2)
    watch = HubWatch(logging.getLogger("firefly.test"), 0.05, lambda: [GREEDY])
    watch.start()
    gevent.sleep(0.12)
    block(0.5)  # the hub has not run when the next line looks
    lines = [record.getMessage() for record in caplog.records]
    watch.stop()
    assert any("has been blocked for" in line and "test_a_hub_that_does_not_come_back" in line for line in lines)


def test_code_in_c_that_holds_the_interpreter_is_named_when_it_returns(watch, caplog):
    def count_slowly():
        return sum(range(60_000_000))

    count_slowly()
    assert "count_slowly" in wait_line(caplog)[0]


def test_a_hub_that_only_waits_is_nobodys_fault(watch):
    frames = []

    def look(_signal, frame):
        frames.append(frame)

    ours = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    with gevent.Timeout(5):
        while not frames:
            gevent.sleep(0.3)
    signal.signal(signal.SIGALRM, ours)
    assert watch._where(frames[0]) == NOBODY
    assert watch._where(sys._getframe()) != NOBODY


def test_a_game_that_has_the_alarm_keeps_it_and_nobody_is_named(caplog):
    rung = []
    signal.signal(signal.SIGALRM, lambda *_: rung.append(True))
    watch = HubWatch(logging.getLogger("firefly.test"), 0.1, lambda: [GREEDY])
    watch.start()
    gevent.sleep(0.12)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    greedy(None)
    assert "by nothing of the game's or Firefly's" in wait_line(caplog)[0]
    watch.stop()
    assert rung == [True]
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_an_import_that_must_end_soon_has_the_alarm_meanwhile(watch, caplog):
    with pytest.raises(Raised, match="took longer than"):
        cut("a module", gevent.sleep, 5, limit=0.3)  # the hub beats meanwhile
    gevent.sleep(0.12)
    greedy(None)
    assert "by command greedy at " in wait_line(caplog)[0]


def test_a_limit_of_nothing_measures_and_names_nobody(caplog):
    watch = HubWatch(logging.getLogger("firefly.test"), 0.0, lambda: [GREEDY])
    watch.start()
    gevent.sleep(0.06)
    block(0.2)
    with gevent.Timeout(5):
        while watch.longest < 0.1:
            gevent.sleep(0.01)
    watch.stop()
    watch.stop()
    assert watch.blocked == 0
    assert caplog.records == []
