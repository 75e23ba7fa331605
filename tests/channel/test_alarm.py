"""One timer for many deadlines."""

from __future__ import annotations

import math
import time

import gevent

from firefly_core.channel.alarm import Alarm


def test_it_rings_once_at_the_earliest_moment_and_never_early() -> None:
    rung: list[float] = []
    alarm = Alarm(gevent.get_hub().loop, time.monotonic, lambda: rung.append(time.monotonic()))
    now = time.monotonic()
    alarm.set(now + 0.2)
    alarm.set(now + 0.05)
    alarm.set(now + 0.1)
    assert alarm.at == now + 0.05
    gevent.sleep(0.25)
    assert len(rung) == 1
    assert now + 0.05 <= rung[0] < now + 0.15
    assert alarm.at == math.inf


def test_a_moment_that_has_passed_rings_soon() -> None:
    rung: list[int] = []
    alarm = Alarm(gevent.get_hub().loop, time.monotonic, lambda: rung.append(1))
    alarm.set(time.monotonic() - 5)
    gevent.sleep(0.01)
    assert rung == [1]


def test_a_stopped_alarm_is_silent_and_can_be_set_again() -> None:
    rung: list[int] = []
    alarm = Alarm(gevent.get_hub().loop, time.monotonic, lambda: rung.append(1))
    alarm.set(time.monotonic() + 0.01)
    alarm.stop()
    alarm.stop()
    gevent.sleep(0.03)
    assert rung == []
    alarm.set(time.monotonic() + 0.01)
    gevent.sleep(0.05)
    assert rung == [1]


def test_it_may_be_set_while_it_rings() -> None:
    rung: list[int] = []

    def ring() -> None:
        rung.append(1)
        if len(rung) < 3:
            alarm.set(time.monotonic() + 0.01)

    alarm = Alarm(gevent.get_hub().loop, time.monotonic, ring)
    alarm.set(time.monotonic() + 0.01)
    gevent.sleep(0.1)
    assert rung == [1, 1, 1]


def test_a_loop_whose_clock_runs_ahead_rings_no_earlier() -> None:
    skew = [0.05]
    rung: list[float] = []
    alarm = Alarm(gevent.get_hub().loop, lambda: time.monotonic() - skew[0], lambda: rung.append(time.monotonic()))
    begin = time.monotonic()
    alarm.set(begin)
    gevent.sleep(0.2)
    assert len(rung) == 1
    assert rung[0] >= begin + 0.05
