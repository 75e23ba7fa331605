"""A hub that is held up is measured, and whoever holds it up is named in one line."""

import logging
import time

import gevent
import pytest
from gevent.monkey import get_original

from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.process.hub_watch import NOBODY, HubWatch

block = get_original("time", "sleep")


def greedy(ctx):
    block(0.25)


GREEDY = Handler(kind="command", name="greedy", function=greedy, source=__file__)


@pytest.fixture
def watch(caplog):
    made = HubWatch(logging.getLogger("firefly.test"), 0.1, lambda: [GREEDY])
    made.start()
    gevent.sleep(0.12)  # two beats: the thread and the timer are both at work
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


def test_a_hub_that_does_not_come_back_is_told_by_the_thread(monkeypatch, caplog):
    monkeypatch.setattr("firefly_core.kernel.process.hub_watch.LONG", 0.2)
    watch = HubWatch(logging.getLogger("firefly.test"), 0.05, lambda: [GREEDY])
    watch.start()
    gevent.sleep(0.12)
    block(0.5)  # the hub has not run when the next line looks
    lines = [record.getMessage() for record in caplog.records]
    watch.stop()
    assert any("has been blocked for" in line and "test_a_hub_that_does_not_come_back" in line for line in lines)


def test_a_hub_that_only_waits_is_nobodys_fault():
    watch = HubWatch(logging.getLogger("firefly.test"), 0.0, list)
    seen = []
    watch._thread = get_original("_thread", "get_ident")()

    def look():
        block(0.1)
        seen.append(watch._where())

    get_original("_thread", "start_new_thread")(look, ())
    with gevent.Timeout(5):
        while not seen:
            gevent.sleep(0.3)
    assert seen == [NOBODY]


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
