import gevent
from firefly_dbcache.database.turnstile import Turnstile


def test_who_gives_back_and_asks_again_comes_behind_those_who_wait():
    made, order = Turnstile(1), []

    def work(name, times):
        for _ in range(times):
            assert made.acquire(5)
            gevent.sleep(0)
            order.append(name)
            made.release()

    gevent.joinall([gevent.spawn(work, "greedy", 5), gevent.spawn(work, "modest", 1)], raise_error=True)
    assert order.index("modest") <= 1


def test_a_turn_that_nobody_gives_back_is_not_had():
    made = Turnstile(1)
    assert made.acquire(1)
    assert not made.acquire(0.01)
    made.release()
    assert made.acquire(0.01)


def test_who_is_killed_while_waiting_takes_no_turn_away():
    made = Turnstile(1)
    assert made.acquire(1)
    waiting = gevent.spawn(made.acquire, 5)
    gevent.sleep(0)
    waiting.kill()
    made.release()
    assert made.acquire(0.01)


def test_a_turn_given_to_one_who_is_just_killed_is_had_or_passed_on():
    made = Turnstile(1)
    assert made.acquire(1)
    waiting = gevent.spawn(made.acquire, 5)
    gevent.sleep(0)
    made.release()
    waiting.kill()
    assert waiting.value is True or made.acquire(0.01)
