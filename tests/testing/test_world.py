"""A virtual world: what it leaves alone, what it cleans up, and that a seed decides everything."""

import random
import time

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

from firefly_core.testing.world import virtual_time


def test_the_real_hub_is_the_current_one_again_and_its_timers_were_not_lost():
    outer = gevent.get_hub()
    fired = Event()
    outer.loop.timer(0.01).start(fired.set)
    with virtual_time():
        assert gevent.get_hub() is not outer
        gevent.sleep(1000)
    assert gevent.get_hub() is outer
    assert fired.wait(5)


def sleep_and_fail():
    with virtual_time():
        gevent.spawn(gevent.sleep, 100)
        gevent.sleep(1)
        raise ZeroDivisionError


def test_a_failing_block_leaves_the_real_hub_behind_too():
    outer = gevent.get_hub()
    with pytest.raises(ZeroDivisionError):
        sleep_and_fail()
    assert gevent.get_hub() is outer
    gevent.sleep(0.001)


def test_a_world_can_be_entered_from_a_greenlet_of_the_real_hub():
    def inside():
        with virtual_time() as world:
            gevent.sleep(100)
            return world.now

    assert gevent.spawn(inside).get(timeout=10) == 100


def test_one_world_at_a_time():
    with virtual_time(), pytest.raises(RuntimeError, match="one world"), virtual_time():
        pass


def test_greenlets_left_over_are_killed_and_may_clean_up():
    ended = []

    def stubborn():
        try:
            gevent.sleep(10_000)
        finally:
            gevent.sleep(1)
            ended.append(world.now)

    with virtual_time() as world:
        gevent.spawn(stubborn)
        gevent.sleep(5)
        assert len(world.greenlets) == 1
    assert ended == [6.0]
    assert world.greenlets == []


def test_a_block_that_ran_nothing_ends_quietly():
    with virtual_time():
        pass


def test_a_hundred_worlds_leave_no_descriptor_behind(open_descriptors):
    with virtual_time():
        gevent.sleep(1)
    before = open_descriptors()
    for seed in range(100):
        with virtual_time(seed):
            gevent.spawn(gevent.sleep, 5)
            gevent.sleep(1)
    assert open_descriptors() == before


def test_the_clock_moves_with_the_loop_and_jumps_in_its_date_only():
    with virtual_time() as world:
        monotonic, date = world.clock.monotonic(), world.clock.time()
        gevent.sleep(100)
        world.clock.jump(-3600)
        assert world.clock.monotonic() == monotonic + 100
        assert world.clock.time() == date + 100 - 3600


def trace(seed):
    """Let forty greenlets wait, talk and time out at random; give what happened, in order."""
    seen = []
    with virtual_time(seed) as world:
        queue = Queue(5)

        def actor(number):
            for _ in range(30):
                choice = world.random.random()
                if choice < 0.4:
                    gevent.sleep(world.random.choice([0, 0.001, 0.1, 1]))
                elif choice < 0.7:
                    with gevent.Timeout(0.05, False):
                        queue.put(number)
                else:
                    with gevent.Timeout(0.05, False):
                        seen.append(("got", queue.get()))
                seen.append((number, world.now))

        gevent.joinall([gevent.spawn(actor, number) for number in range(40)])
    return seen


def test_the_same_seed_gives_the_same_events_in_the_same_order():
    first = trace(7)
    assert len(first) >= 1200
    random.seed()
    assert trace(7) == first


def test_another_seed_gives_another_order():
    assert trace(7) != trace(8)


def test_an_idle_hour_of_two_servers_takes_at_most_two_seconds():
    def beat(interval):
        while True:
            gevent.sleep(interval)

    began = time.perf_counter()
    with virtual_time() as world:
        for _ in range(2):
            gevent.spawn(beat, 0.1)
            gevent.spawn(beat, 5)
        gevent.sleep(3600)
        assert world.now == 3600
    assert time.perf_counter() - began < 5 * 2.0
