"""The loop of a virtual world, seen through gevent's public face and through its watchers."""

import os
import threading
import time
from queue import Empty

import gevent
import pytest
from gevent.event import AsyncResult, Event
from gevent.exceptions import LoopExit
from gevent.lock import BoundedSemaphore
from gevent.pool import Pool
from gevent.queue import Queue
from gevent.threadpool import ThreadPool

from firefly_core.testing.virtual_loop import VirtualLoop
from firefly_core.testing.world import virtual_time


@pytest.fixture
def world():
    with virtual_time(seed=1) as world:
        yield world


# ------------------------------------------------------------------------------------------------------ sleeping


def test_sleeping_an_hour_takes_no_time_and_moves_the_clock_by_exactly_that(world):
    began = time.perf_counter()
    gevent.sleep(3600)
    assert world.now == 3600
    assert time.perf_counter() - began < 0.5


def test_sleepers_wake_in_the_order_of_their_time_and_not_of_their_start(world):
    woken = []

    def sleeper(delay):
        gevent.sleep(delay)
        woken.append((delay, world.now))

    gevent.joinall([gevent.spawn(sleeper, delay) for delay in (3, 1, 2.5, 0.001)])
    assert woken == [(0.001, 0.001), (1, 1), (2.5, 2.5), (3, 3)]


def test_timers_of_one_instant_fire_in_the_order_in_which_they_were_started(world):
    fired = []
    timers = [world.loop.timer(1.0) for _ in range(20)]
    for number in (7, 3, *range(8, 20), 0, 1, 2, 4, 5, 6):
        timers[number].start(fired.append, number)
    gevent.sleep(2)
    assert fired == [7, 3, *range(8, 20), 0, 1, 2, 4, 5, 6]


def test_patched_time_sleep_is_virtual_and_the_clock_modules_are_not(world):
    before = time.monotonic()
    time.sleep(500)
    assert world.now == 500
    assert time.monotonic() - before < 5


def test_a_sleep_of_nan_is_refused_instead_of_never_ending(world):
    with pytest.raises(ValueError, match="nan"):
        gevent.sleep(float("nan"))


def test_a_tiny_delay_moves_time_by_at_least_a_nanosecond(world):
    gevent.sleep(1e-30)
    assert world.now == 1e-9


def test_a_loop_of_zero_sleeps_sees_time_pass(world):
    rounds = 0
    with gevent.Timeout(0.25, False):
        while True:
            gevent.sleep(0)
            rounds += 1
    assert rounds > 10_000
    assert 0.25 <= world.now < 0.26


def test_few_zero_sleeps_take_no_time(world):
    for _ in range(1_000):
        gevent.sleep(0)
    assert world.now == 0


# ------------------------------------------------------------------------------------------------------- waiting


def test_timeouts_fire_in_order_and_at_their_time(world):
    seen = []
    for seconds in (1, 2, 3):
        with gevent.Timeout(seconds) as timeout, pytest.raises(gevent.Timeout) as caught:
            gevent.sleep(100)
        assert caught.value is timeout
        seen.append(world.now)
    assert seen == [1, 3, 6]


def test_an_inner_timeout_that_is_shorter_fires_first(world):
    with gevent.Timeout(5), pytest.raises(gevent.Timeout) as caught, gevent.Timeout(2):
        gevent.sleep(10)
    assert caught.value.seconds == 2
    assert world.now == 2


def test_a_wait_that_ends_at_the_instant_of_its_timeout_has_ended(world):
    with gevent.Timeout(1):
        gevent.sleep(1)
    assert world.now == 1


def test_a_cancelled_timeout_does_not_fire(world):
    timeout = gevent.Timeout.start_new(1)
    timeout.close()
    gevent.sleep(5)


def test_events_queues_semaphores_and_results_wait_on_virtual_time(world):
    event, queue, semaphore, result = Event(), Queue(), BoundedSemaphore(1), AsyncResult()
    semaphore.acquire()
    assert not event.wait(10)
    with pytest.raises(Empty):
        queue.get(timeout=10)
    assert not semaphore.acquire(timeout=10)
    with pytest.raises(gevent.Timeout):
        result.get(timeout=10)
    assert world.now == 40
    for action in (event.set, lambda: queue.put(5), semaphore.release, lambda: result.set(6)):
        gevent.spawn_later(1, action)
    assert (event.wait(10), queue.get(timeout=10), semaphore.acquire(timeout=10), result.get(timeout=10)) == (
        True,
        5,
        True,
        6,
    )
    assert world.now == 41


def test_a_pool_bounds_what_runs_at_once(world):
    pool = Pool(10)
    running = most = 0

    def work(_):
        nonlocal running, most
        running += 1
        most = max(most, running)
        gevent.sleep(1)
        running -= 1

    pool.map(work, range(100))
    assert most == 10
    assert world.now == 10


def test_joining_a_greenlet_gives_up_at_its_timeout(world):
    greenlet = gevent.spawn(gevent.sleep, 100)
    greenlet.join(timeout=3)
    assert not greenlet.dead
    assert world.now == 3
    greenlet.kill()
    assert greenlet.dead


def test_a_patched_condition_wakes_its_waiter(world):
    condition = threading.Condition()
    with condition:
        assert not condition.wait(timeout=7)
    assert world.now == 7

    def notify():
        with condition:
            condition.notify()

    gevent.spawn_later(2, notify)
    with condition:
        assert condition.wait(timeout=7)
    assert world.now == 9


def test_waiting_for_what_can_never_happen_raises_instead_of_hanging(world):
    with pytest.raises(LoopExit):
        Event().wait()
    gevent.sleep(1)
    assert world.now == 1


def test_waiting_longer_than_the_limit_raises():
    with virtual_time(limit=100) as world:
        ticker = gevent.spawn(lambda: [gevent.sleep(1) for _ in range(1_000)])
        with pytest.raises(TimeoutError, match="100 virtual seconds"):
            Event().wait()
        assert 99 <= world.now <= 101
        ticker.kill()


# --------------------------------------------------------------------------------------------------- the watchers


def test_callbacks_run_in_the_order_in_which_they_were_given(world):
    seen = []
    callbacks = [world.loop.run_callback(seen.append, number) for number in range(5)]
    callbacks[2].stop()
    assert [callback.pending for callback in callbacks] == [True, True, False, True, True]
    gevent.sleep(0)
    assert seen == [0, 1, 3, 4]
    assert not any(callbacks)


def test_a_prepare_watcher_runs_each_turn_before_the_callbacks_the_last_started_first(world):
    seen = []
    first, second = world.loop.prepare(), world.loop.prepare()
    first.start(lambda: seen.append("first"))
    second.start(lambda: seen.append("second"))
    world.loop.run_callback(seen.append, "callback")
    gevent.sleep(0)
    assert seen[:3] == ["second", "first", "callback"]
    first.stop()
    second.close()
    seen.clear()
    gevent.sleep(1)
    assert seen == []
    assert not first.active


def test_what_a_timer_leaves_behind_is_found_by_the_next_prepare_at_the_same_instant(world):
    ready, found = [], []
    watcher = world.loop.prepare()
    watcher.start(lambda: found.extend((item, world.now) for item in ready) or ready.clear())
    timer = world.loop.timer(2)
    timer.start(ready.append, "data")
    gevent.sleep(5)
    assert found == [("data", 2.0)]


def test_check_watchers_run_after_the_timers_of_their_turn(world):
    seen = []
    check = world.loop.check()
    check.start(lambda: seen.append(("check", world.now)))
    world.loop.timer(3).start(lambda: seen.append(("timer", world.now)))
    gevent.sleep(4)
    assert seen.index(("timer", 3.0)) + 1 == seen.index(("check", 3.0))


def test_idle_watchers_run_when_nothing_else_is_ready(world):
    order = []
    for number in range(3):
        world.loop.run_callback(order.append, number)
    gevent.idle()
    order.append("idle")
    assert order == [0, 1, 2, "idle"]


def test_a_repeating_timer_keeps_its_beat_until_it_is_stopped(world):
    beats = []
    timer = world.loop.timer(1, 0.5)
    timer.start(lambda: beats.append(world.now))
    gevent.sleep(3.1)
    timer.stop()
    gevent.sleep(3.1)
    assert beats == [1.0, 1.5, 2.0, 2.5, 3.0]


def test_again_starts_the_interval_anew(world):
    beats = []
    timer = world.loop.timer(0, 2)
    timer.again(lambda: beats.append(world.now))
    gevent.sleep(1)
    timer.again(lambda: beats.append(world.now))
    gevent.sleep(2.5)
    timer.close()
    assert beats == [3.0]


def test_a_timer_tells_its_state_and_can_be_started_again(world):
    timer = world.loop.timer(1)
    assert (timer.active, timer.pending) == (False, False)
    fired = []
    timer.start(fired.append, 1)
    assert timer.active
    assert timer.at == world.loop.now() + 1
    gevent.sleep(2)
    assert not timer.active
    assert timer.callback is None
    timer.start(fired.append, 2)
    timer.stop()
    gevent.sleep(2)
    timer.start(fired.append, 3)
    gevent.sleep(2)
    assert fired == [1, 3]


def test_a_timer_stopped_by_another_of_the_same_instant_does_not_fire(world):
    fired = []
    first, second = world.loop.timer(1), world.loop.timer(1)
    first.start(lambda: second.stop())
    second.start(fired.append, "second")
    gevent.sleep(2)
    assert fired == []


def test_the_higher_priority_goes_first_among_timers_of_one_instant(world):
    fired = []
    low, high = world.loop.timer(1, priority=-1), world.loop.timer(1, priority=1)
    low.start(fired.append, "low")
    high.start(fired.append, "high")
    gevent.sleep(2)
    assert fired == ["high", "low"]


def test_the_loop_does_not_wait_for_a_timer_without_reference(world):
    timer = world.loop.timer(5, ref=False)
    timer.start(lambda: None)
    with pytest.raises(LoopExit):
        Event().wait()
    timer.ref = True
    fired = Event()
    timer.stop()
    timer.start(fired.set)
    assert fired.wait()
    assert world.now == 5


def test_thousands_of_cancelled_timeouts_leave_nothing_behind(world):
    for _ in range(50_000):
        with gevent.Timeout(3600):
            pass
    assert len(world.loop._heap) < 3_000


def test_a_failing_callback_is_told_and_the_loop_goes_on(world, capsys):
    world.loop.timer(1).start(lambda: 1 / 0)
    gevent.sleep(2)
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert world.now == 2


def test_an_interrupt_inside_a_callback_ends_the_test_and_not_the_loop(world):
    class Verdict(BaseException):
        pass

    def judge():
        raise Verdict

    world.loop.timer(1).start(judge)
    with pytest.raises(Verdict):
        gevent.sleep(2)
    gevent.sleep(2)
    assert world.now == 3


@pytest.mark.parametrize("make", [lambda loop: loop.signal(15), lambda loop: loop.child(1)])
def test_signals_and_children_are_refused_by_name(world, make):
    with pytest.raises(RuntimeError, match="virtual loop"):
        make(world.loop)


# ------------------------------------------------------------------------------------------------ the real outside


def test_time_waits_for_a_native_thread(world):
    real_sleep = gevent.monkey.get_original("time", "sleep")
    pool = ThreadPool(1)
    with gevent.Timeout(1):
        results = pool.map(lambda number: real_sleep(0.02) or number, range(5))
    assert results == [0, 1, 2, 3, 4]
    assert world.now == 0
    gevent.sleep(1)
    assert world.now == 1
    pool.kill()


def test_what_is_ready_goes_on_while_a_thread_works(world):
    native_wait = gevent.monkey.get_original("threading", "Event")()
    pool = ThreadPool(1)
    result = pool.spawn(native_wait.wait, 10)
    gevent.spawn(native_wait.set)
    assert result.get() is True
    pool.kill()


def test_a_thread_may_hand_a_callback_to_the_loop(world):
    seen = Event()
    start = gevent.monkey.get_original("_thread", "start_new_thread")
    with world.hold():
        start(lambda: world.loop.run_callback_threadsafe(seen.set), ())
        assert seen.wait(10)
    assert world.now == 0


def test_a_real_descriptor_is_awaited_while_time_is_held(world):
    reader, writer = os.pipe()
    start = gevent.monkey.get_original("_thread", "start_new_thread")
    real_sleep = gevent.monkey.get_original("time", "sleep")
    watcher = world.loop.io(reader, 1)
    readable = Event()
    watcher.start(readable.set)
    try:
        start(lambda: (real_sleep(0.05), os.write(writer, b"x")), ())
        with world.hold():
            assert readable.wait(10)
        assert world.now == 0
    finally:
        watcher.close()
        os.close(reader)
        os.close(writer)


def test_time_does_not_wait_for_a_descriptor_that_is_only_watched(world):
    reader, writer = os.pipe()
    watcher = world.loop.io(reader, 1)
    watcher.start(lambda: os.read(reader, 10))
    try:
        gevent.sleep(3600)
        assert world.now == 3600
        os.write(writer, b"x")
        gevent.sleep(1)
        os.set_blocking(reader, False)
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)
    finally:
        watcher.close()
        os.close(reader)
        os.close(writer)


def test_the_loop_is_no_default_loop_and_shares_nothing_with_another():
    loops = [VirtualLoop(), VirtualLoop()]
    assert not any(loop.default for loop in loops)
    loops[0].run_callback(lambda: None)
    loops[0].timer(5).start(lambda: None)
    loops[1].run()
    loops[0].run()
    assert (loops[0].nanoseconds, loops[1].nanoseconds) == (5_000_000_000, 0)
    for loop in loops:
        loop.destroy()
