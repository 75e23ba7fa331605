"""Runners: one greenlet for all that arrived in a loop turn, and another for what is behind a handler that blocks."""

import contextvars

import gevent
import pytest

from firefly_core.channel.runners import Runners


class Recorder:
    def __init__(self, run=None):
        self.data = []
        self.blocked = []
        self.run = run

    def on_data(self, data):
        if self.run is not None:
            self.run(data)
        self.data.append(data)

    def on_blocked(self, runner):
        self.blocked.append(runner)


@pytest.fixture
def runners():
    made = Runners()
    yield made
    made.close()
    gevent.sleep(0)


def settle():
    for _ in range(5):
        gevent.sleep(0)


def test_what_is_submitted_runs_in_order(runners):
    receiver = Recorder()
    for number in range(100):
        runners.submit(receiver, b"%d" % number)
    settle()
    assert receiver.data == [b"%d" % number for number in range(100)]


def test_handlers_that_never_block_share_one_greenlet(runners):
    used = set()
    receiver = Recorder(lambda data: used.add(gevent.getcurrent()))
    for _ in range(50):
        runners.submit(receiver)
        gevent.sleep(0)
    settle()
    assert len(used) == 1
    assert receiver.blocked == []


def test_a_handler_that_blocks_keeps_its_runner_and_delays_nobody(runners):
    gate = gevent.event.Event()
    slow, quick = Recorder(lambda data: gate.wait()), Recorder()
    runners.submit(slow, b"1")
    runners.submit(quick, b"2")
    settle()
    assert (slow.data, quick.data) == ([], [b"2"])
    assert len(slow.blocked) == 1
    gate.set()
    settle()
    assert slow.data == [b"1"]


def test_runners_are_used_again(runners):
    receiver = Recorder(lambda data: gevent.sleep(0))
    for _ in range(20):
        runners.submit(receiver)
        settle()
    assert len(receiver.data) == 20
    assert runners.started <= 2


def test_an_exception_ends_neither_the_runner_nor_the_others(runners, caplog):
    def fail(data):
        raise {b"error": ValueError, b"exit": SystemExit, b"timeout": gevent.Timeout}[data]

    receiver, other = Recorder(fail), Recorder()
    for data in (b"error", b"exit", b"timeout"):
        runners.submit(receiver, data)
    runners.submit(other)
    settle()
    assert other.data == [b""]
    assert caplog.text.count("a receiver failed") == 3


def test_a_killed_runner_is_not_used_again(runners):
    receiver, other = Recorder(lambda data: gevent.sleep(60)), Recorder()
    runners.submit(receiver)
    settle()
    gevent.kill(receiver.blocked[0])
    settle()
    runners.submit(other)
    settle()
    assert receiver.blocked[0].dead
    assert other.data == [b""]


def test_a_timeout_that_leaks_into_the_pool_retires_that_runner_only(runners, caplog):
    leaked = []
    receiver, other = Recorder(lambda data: leaked.append(gevent.Timeout.start_new(0.01))), Recorder()
    runners.submit(receiver)
    gevent.sleep(0.05)
    for _ in range(3):
        runners.submit(other)
        settle()
    assert len(other.data) == 3
    assert "retired a parked runner" in caplog.text


def test_context_variables_do_not_leak_from_one_turn_to_the_next(runners):
    variable = contextvars.ContextVar("variable", default="clean")
    seen = []

    def run(data):
        seen.append(variable.get())
        variable.set("dirty")

    receiver = Recorder(run)
    for _ in range(3):
        runners.submit(receiver)
        settle()
    assert seen == ["clean"] * 3


def test_a_receiver_that_submits_itself_does_not_starve_the_loop(runners):
    class Endless(Recorder):
        def on_data(self, data):
            self.data.append(data)
            if len(self.data) < 10_000:
                runners.submit(self)

    endless = Endless()
    runners.submit(endless)
    gevent.sleep(0.001)
    assert 0 < len(endless.data) < 10_000
    endless.data = [b""] * 10_000


def test_run_runs_a_function_and_logs_what_it_raises(runners, caplog):
    got = []
    runners.run(got.append, 7)
    runners.run(lambda: 1 / 0)
    settle()
    assert got == [7]
    assert "ZeroDivisionError" in caplog.text


def test_two_pools_live_side_by_side(runners):
    other = Runners()
    first, second = Recorder(lambda data: gevent.sleep(0)), Recorder()
    runners.submit(first)
    other.submit(second)
    settle()
    other.close()
    assert (first.data, second.data) == ([b""], [b""])
