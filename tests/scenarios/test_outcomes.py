"""Short forms of the promises about calls; `make promises` runs the long ones."""

import pytest

from tests.scenarios.outcomes import crossed, outcomes


@pytest.fixture(scope="module")
def under_chaos():
    return outcomes(4_000, every=(0.05, 0.2))


def test_every_call_ends_once_whatever_happens_to_the_link(under_chaos):
    assert under_chaos.ended.total() == under_chaos.calls == 4_000
    assert under_chaos.pending == 0
    assert under_chaos.late == 0


def test_the_chaos_was_real(under_chaos):
    assert set(under_chaos.faults) == {"reset", "cut", "split", "slow"}
    assert {"value", "sent", "unsent", "RemoteError", "DeadlineExceeded"} <= set(under_chaos.ended)


def test_no_call_is_executed_twice(under_chaos):
    assert under_chaos.twice == 0


def test_what_was_not_sent_is_not_executed(under_chaos):
    assert len(under_chaos.unsent) > 20
    assert under_chaos.lies == 0


def test_every_value_belongs_to_its_call(under_chaos):
    assert under_chaos.mismatches == 0
    assert under_chaos.invented == 0


def test_answers_that_come_late_or_twice_or_for_another_connection_reach_nobody():
    found = crossed(20_000)
    assert min(found.faults[kind] for kind in ("late", "twice", "crossed")) > 100
    assert found.mismatches == 0
    assert found.pending == 0
    assert found.ended.total() == found.calls == 20_000
    assert found.ended["DeadlineExceeded"] == found.faults["late"]


def test_the_same_seed_gives_the_same_outcomes():
    assert outcomes(500, seed=9) == outcomes(500, seed=9)
