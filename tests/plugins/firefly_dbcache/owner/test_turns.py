import gevent
import pytest
from firefly_dbcache.owner import turns
from firefly_dbcache.owner.turns import Turns

PLACE = ("table", 1)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(turns, "LEASE", 0.02)


def test_turns_are_given_in_the_order_of_asking():
    made, order = Turns(), []

    def work(number):
        turn = made.take(PLACE)
        order.append(number)
        gevent.sleep(0.001)
        made.give(PLACE, turn)

    gevent.joinall([gevent.spawn(work, number) for number in range(10)], timeout=5, raise_error=True)
    assert order == list(range(10))
    assert made.lines == {}


def test_who_keeps_a_turn_too_long_is_overtaken(quick):
    made = Turns()
    lost = made.take(PLACE)
    others = [gevent.spawn(made.take, PLACE) for _ in range(3)]
    gevent.joinall(others, timeout=5, raise_error=True)
    made.give(PLACE, lost)
    made.give(PLACE, others[-1].value)
    assert made.lines == {}


def test_who_is_killed_while_waiting_leaves_the_line():
    made = Turns()
    first = made.take(PLACE)
    killed, last = gevent.spawn(made.take, PLACE), gevent.spawn(made.take, PLACE)
    gevent.sleep(0)
    killed.kill()
    made.give(PLACE, first)
    made.give(PLACE, last.get(timeout=5))
    assert made.lines == {}


def test_lines_are_bounded(monkeypatch):
    monkeypatch.setattr(turns, "MOST", 3)
    made = Turns()
    assert [bool(made.take((PLACE, key))) for key in range(5)] == [True, True, True, False, False]
