"""Short forms of the promises about coming back; `make promises` runs the long ones."""

import pytest

from tests.scenarios.reconnect import Storm, schedule, storm


def test_every_pause_before_a_dial_keeps_to_the_schedule_and_only_a_hello_makes_it_short_again():
    found = schedule(200)
    assert set(found.kinds) == {"away", "cut", "deaf", "reset"}
    assert found.gaps > 800
    assert found.misfits == 0
    assert 0.15 < found.worst <= 0.2 + 1e-6


@pytest.fixture(scope="module")
def five_hundred():
    return storm(500, 300.0)


def test_five_hundred_nodes_are_back_within_six_seconds(five_hundred):
    assert len(five_hundred.back) == 500
    assert five_hundred.back_by(0.99) <= 6.0
    assert five_hundred.back[-1] <= 7.0


def test_five_hundred_nodes_knock_scattered(five_hundred):
    assert five_hundred.peak(3.0) <= 0.20
    assert five_hundred.peak(30.0) <= 0.05


def test_nodes_that_knock_together_would_be_seen():
    together = Storm(100, knocks=[10.0 + number % 2 * 0.05 for number in range(100)])
    assert together.peak(9.5) == 1.0
    assert together.peak(20.0) == 0.0
