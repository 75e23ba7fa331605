"""Runners: one greenlet for all that arrived in a loop turn, and another for what is behind a handler that blocks."""

import contextvars

import gevent
import pytest

from firefly_core.channel.runners import SLICE, Runners


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


class Slice:
    """Jobs and writers that note what they do, in one log."""

    def __init__(self, runners):
        self.runners = runners
        self.log = []

    def job(self, name, run=lambda: None, *, empty=False):
        class Job:
            @property
            def receiver(job):
                return job

            def read(job):
                self.log.append(f"read {name}")
                return None if empty else b"data"

            def on_data(job, data):
                run()
                self.log.append(f"run {name}")
                self.runners.write_soon(job)

            def on_blocked(job, runner):
                self.log.append(f"blocked {name}")

            def write(job, data):
                self.log.append(f"write {name}")

        self.runners.put(Job())


def test_a_slice_is_read_then_served_then_sent(runners):
    slice = Slice(runners)
    for name in "abc":
        slice.job(name)
    settle()
    assert slice.log == [f"{round} {name}" for round in ("read", "run", "write") for name in "abc"]


def test_what_has_nothing_to_read_takes_no_runner(runners):
    slice = Slice(runners)
    slice.job("a", empty=True)
    settle()
    assert slice.log == ["read a"]
    assert runners.started == 0


def test_no_more_than_a_slice_waits_for_one_another(runners):
    slice = Slice(runners)
    for number in range(SLICE + 3):
        slice.job(number)
    settle()
    assert slice.log.index(f"write {SLICE - 1}") < slice.log.index(f"read {SLICE}")
    assert slice.log.count(f"write {SLICE + 2}") == 1
    slice.log.clear()
    for number in range(SLICE):
        runners.write_soon(type("Writer", (), {"write": lambda self, data, number=number: slice.log.append(number)})())
    assert slice.log == list(range(SLICE))


def test_nothing_that_is_ready_waits_for_a_handler_that_blocks(runners):
    slice, gate = Slice(runners), gevent.event.Event()
    slice.job("early")
    slice.job("slow", gate.wait)
    slice.job("late")
    settle()
    assert slice.log[3:] == ["run early", "blocked slow", "run late", "write early", "write late"]
    gate.set()
    settle()
    assert slice.log[-2:] == ["run slow", "write slow"]


def test_the_moment_is_the_slices(runners):
    times = []
    slow = Recorder(lambda data: times.append(runners.moment))
    for _ in range(3):
        runners.submit(slow)
    settle()
    gevent.sleep(0.01)
    runners.submit(slow)
    settle()
    assert times[0] == times[1] == times[2] < times[3]
