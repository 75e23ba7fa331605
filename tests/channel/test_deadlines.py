"""Deadlines: never early, at most a tick late, and nothing at all while nobody waits."""

import gevent
import pytest

from firefly_core.channel.clock import SystemClock
from firefly_core.channel.deadlines import TICK, Deadlines
from firefly_core.testing import virtual_time


@pytest.fixture
def world():
    with virtual_time(seed=1) as world:
        yield world


@pytest.fixture
def deadlines(world):
    made = Deadlines(gevent.get_hub().loop, world.clock)
    yield made
    made.close()


def test_a_deadline_fires_once_never_early_and_at_most_a_tick_late(world, deadlines):
    begin = world.clock.monotonic()
    fired = {}
    for delay in (0.0, 0.01, 0.05, 1.0, 1.01, 10.0, 3600.0):
        deadlines.arm(delay, lambda delay=delay: fired.setdefault(delay, world.clock.monotonic() - begin))
    gevent.sleep(4000)
    assert sorted(fired) == [0.0, 0.01, 0.05, 1.0, 1.01, 10.0, 3600.0]
    for delay, after in fired.items():
        assert delay <= after <= delay + 2 * TICK


def test_a_cancelled_deadline_never_fires(deadlines):
    fired = []
    deadline = deadlines.arm(1.0, lambda: fired.append(1))
    assert deadline.armed
    deadline.cancel()
    deadline.cancel()
    gevent.sleep(5)
    assert (fired, deadline.armed) == ([], False)


def test_an_earlier_deadline_may_be_armed_later(deadlines):
    fired = []
    deadlines.arm(10.0, lambda: fired.append("late"))
    deadlines.arm(0.1, lambda: fired.append("early"))
    gevent.sleep(1)
    assert fired == ["early"]
    gevent.sleep(10)
    assert fired == ["early", "late"]


def test_a_callback_may_arm_another(deadlines):
    fired = []

    def again():
        fired.append(1)
        if len(fired) < 5:
            deadlines.arm(0.2, again)

    deadlines.arm(0.2, again)
    gevent.sleep(3)
    assert len(fired) == 5


def test_a_callback_that_fails_is_logged_and_the_others_fire(deadlines, caplog):
    fired = []
    deadlines.arm(0.1, lambda: 1 / 0)
    deadlines.arm(0.1, lambda: fired.append(1))
    gevent.sleep(1)
    assert fired == [1]
    assert "ZeroDivisionError" in caplog.text


def test_on_the_real_loop_it_fires_too():
    made = Deadlines(gevent.get_hub().loop, SystemClock())
    fired = gevent.event.Event()
    made.arm(0.01, fired.set)
    assert fired.wait(5)
    made.close()
