"""Short forms of the promise of order; `make promises` runs the long ones."""

import pytest

from tests.scenarios.order import order


@pytest.fixture(scope="module", params=["one node", "three nodes"])
def quiet(request):
    return order(20, 200, nodes=1 if request.param == "one node" else 3)


@pytest.fixture(scope="module", params=[1, 2, 3])
def stormy(request):
    return order(20, 200, seed=request.param, nodes=2, chaos=True)


def test_commands_of_a_session_start_in_order_and_one_at_a_time(quiet):
    assert quiet.started == quiet.sent == 4_000
    assert (quiet.inversions, quiet.overlaps, quiet.handovers, quiet.twice) == (0, 0, 0, 0)


def test_each_command_gets_its_own_answer_in_order(quiet):
    assert quiet.answers == {"value": 4_000}
    assert (quiet.wrong, quiet.disordered, quiet.unanswered) == (0, 0, 0)


def test_the_order_holds_while_links_break(stormy):
    assert sum(stormy.faults.values()) > 5
    assert (stormy.inversions, stormy.overlaps, stormy.twice) == (0, 0, 0)


def test_each_command_is_answered_once_while_links_break(stormy):
    assert stormy.answers.total() == stormy.sent == 4_000
    assert set(stormy.answers) <= {"value", "unavailable", "timeout", "overloaded"}
    assert stormy.answers["value"] > 1_000
    assert stormy.answers["unavailable"] > 0
    assert (stormy.wrong, stormy.disordered, stormy.unanswered) == (0, 0, 0)
    assert stormy.started >= stormy.answers["value"]
