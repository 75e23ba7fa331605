"""Restart delays and the budget of failures, on a clock of numbers."""

from __future__ import annotations

import random

import pytest

from firefly_core.kernel.supervisor.backoff import Backoff, Restarts


class Middle(random.Random):
    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


def test_delays_double_up_to_the_longest():
    backoff = Backoff(Restarts(failures=100), Middle())
    assert [backoff.fail(now, None) for now in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_delays_are_spread_by_a_fifth_and_no_more():
    source = random.Random(7)
    delays = [Backoff(Restarts(), source).fail(0.0, None) for _ in range(1000)]
    assert 0.4 <= min(delays) < 0.41
    assert 0.59 < max(delays) <= 0.6


def test_the_fifth_failure_within_a_minute_is_the_last():
    backoff = Backoff(Restarts(), Middle())
    assert [backoff.fail(now, None) is None for now in (0, 10, 20, 30, 59)] == [False] * 4 + [True]


def test_failures_that_are_a_minute_apart_are_never_too_many():
    backoff = Backoff(Restarts(), Middle())
    assert all(backoff.fail(now * 16.0, None) is not None for now in range(100))
    assert backoff.failures == 4


@pytest.mark.parametrize(("healthy", "delay"), [(59.9, 4.0), (60.0, 0.5)])
def test_a_minute_of_health_earns_the_first_delay_again(healthy, delay):
    backoff = Backoff(Restarts(), Middle())
    for now in (0, 1, 2):
        backoff.fail(now, None)
    assert backoff.fail(100.0 + healthy, 100.0) == delay


def test_reset_forgets_every_failure():
    backoff = Backoff(Restarts(), Middle())
    for now in range(4):
        backoff.fail(now, None)
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.fail(5, None) == 0.5


def test_without_a_limit_it_never_gives_up_and_remembers_no_more_than_it_must():
    backoff = Backoff(Restarts(failures=None), Middle())
    assert all(backoff.fail(now * 0.001, None) is not None for now in range(10_000))
    assert backoff.failures == 100
