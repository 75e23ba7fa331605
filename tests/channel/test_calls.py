"""The outgoing side: deadlines, cancels, what was sent and what certainly was not."""

from __future__ import annotations

import gc
import random
import time
import weakref
from typing import Any

import gevent
import pytest
from gevent.event import Event

from firefly_core.errors import CallError, DeadlineExceeded, Disconnected, Overloaded
from firefly_core.wire.envelope import MAX_ID


def echo(_channel: Any, *params: Any) -> Any:
    return list(params)


def end_of(call: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return call(*arguments, **options)
    except CallError as error:
        return error


# ---------------------------------------------------------------------------------------------------- deadlines


def test_k6_the_remaining_milliseconds_travel(house: Any) -> None:
    seen: list[Any] = []
    client, _ = house.pair({"look_": lambda _channel, _params, meta, _id: seen.append(meta)})
    client.call("look_", timeout=1.5)
    client.call("look_", timeout=0.0004, meta={"deadline": 10**9, "trace": "t", "session": 2**63})
    client.notify("look_", meta={"trace": "n"})
    client.call("look_")
    assert seen == [
        {"deadline": 1500},
        {"deadline": 1, "trace": "t", "session": 2**63},
        {"trace": "n"},
        {"deadline": 10_000},
    ]


def test_many_deadlines_are_kept_whatever_their_order(house: Any) -> None:
    def never(_channel: Any) -> None:
        gevent.sleep(30)

    client, _ = house.pair({"never": never})
    late: list[float] = []

    def call(timeout: float) -> None:
        begin = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            client.call("never", timeout=timeout)
        late.append(time.monotonic() - begin - timeout)

    timeouts = [0.05 + 0.002 * number for number in range(150)]
    random.Random(5).shuffle(timeouts)
    gevent.joinall([gevent.spawn(call, timeout) for timeout in timeouts], timeout=10)
    assert len(late) == 150
    assert min(late) >= -0.001  # whole milliseconds travel
    assert max(late) < 2
    assert client.pending == 0


def test_a_deadline_of_hours_does_not_hold_up_a_short_one(house: Any) -> None:
    client, _ = house.pair({"never": lambda _channel: gevent.sleep(30)})
    gevent.spawn(end_of, client.call, "never", timeout=7200)
    gevent.sleep(0.01)
    begin = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        client.call("never", timeout=0.1)
    assert time.monotonic() - begin < 5


# ------------------------------------------------------------------------------------------------------ giving up


@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_who_gives_up_leaves_nothing_behind_and_the_handler_is_cancelled(house: Any, how: str) -> None:
    ended = Event()

    def never(_channel: Any) -> None:
        try:
            gevent.sleep(30)
        finally:
            ended.set()

    client, server = house.pair({"never": never, "echo": echo})

    def call() -> None:
        with gevent.Timeout(0.05 if how == "timeout" else None, False):
            client.call("never")

    caller = gevent.spawn(call)
    while not server.running.count:
        gevent.sleep(0.001)
    if how == "kill":
        caller.kill(timeout=5)
    assert ended.wait(5)
    assert client.call("echo", 1) == [1]
    assert client.pending == 0
    assert server.running.count == 0
    assert server.running.by_id == {}


def test_an_answer_on_its_way_does_not_wake_who_has_given_up(house: Any) -> None:
    """The answer and the caller's timeout fall into the same loop turn, in both orders, many times."""
    client, _ = house.pair({"echo": echo})
    woken: list[Any] = []

    def call(number: int) -> None:
        with gevent.Timeout(0.0005 * (number % 8), False):
            assert client.call("echo", number) == [number]
        # Whatever wakes this greenlet while it sleeps was meant for somebody else.
        woken.append(gevent.sleep(0.002))

    for _ in range(10):
        gevent.joinall([gevent.spawn(call, number) for number in range(100)], timeout=10, raise_error=True)
    assert woken == [None] * 1000
    assert client.pending == 0


def test_a_request_that_is_still_here_is_taken_back(house: Any) -> None:
    ran: list[int] = []
    client, _ = house.pair({"run": lambda _channel, number: ran.append(number), "echo": echo})
    calls = [client.call_later("run", (number,), lambda _error, _result: None) for number in range(20)]
    for call in calls[::2]:
        client.give_up(call)
    client.call("echo")
    assert ran == list(range(1, 20, 2))


def test_cancels_stay_under_what_the_peer_bears(house: Any, limits: Any) -> None:
    client, server = house.pair({"never": lambda _channel: gevent.sleep(0.3), "echo": echo}, limits=limits(cancels=20))
    for _ in range(5):
        callers = [gevent.spawn(end_of, client.call, "never", timeout=0.02) for _ in range(30)]
        gevent.joinall(callers, timeout=5)
    assert client.call("echo", 1) == [1]
    assert not server.closed


# ------------------------------------------------------------------------------- K2: sent=False was not executed


@pytest.mark.parametrize("size", [10, 60_000])
def test_k2_what_was_not_sent_was_not_executed(house: Any, size: int) -> None:
    executed: set[int] = set()
    client, server = house.pair({"run": lambda _channel, number, _body: executed.add(number)})
    server.stream.pause_reading()
    ends: dict[int, Any] = {}

    def note(number: int) -> Any:
        return lambda error, _result: ends.setdefault(number, error)

    calls = 0
    while calls < 4000 and not client.outbox.full:
        client.call_later("run", (calls, b"x" * size), note(calls))
        calls += 1
        if calls % 50 == 0:
            gevent.sleep(0)
    client.close()
    server.stream.resume_reading()
    while not server.closed or len(ends) < calls:
        gevent.sleep(0.001)
    unsent = {number for number, error in ends.items() if not error.sent}
    assert len(ends) == calls
    assert all(type(error) is Disconnected for error in ends.values())
    assert not unsent & executed
    if size > 1000:
        assert unsent


def test_k2_a_call_starts_its_handler_at_most_once_under_resets(house: Any) -> None:
    started: list[int] = []

    def run(_channel: Any, number: int) -> int:
        started.append(number)
        if number % 3 == 0:
            gevent.sleep(0.001)
        return number

    address = house.serve({"run": run})
    ends: dict[int, list[Any]] = {}
    chance = random.Random(3)
    for round_ in range(20):
        client = house.dial(address)
        while not client.authenticated:
            gevent.sleep(0.001)

        def call(number: int, client: Any = client) -> None:
            ends.setdefault(number, []).append(end_of(client.call, "run", number))

        callers = [gevent.spawn(call, round_ * 100 + number) for number in range(100)]
        gevent.sleep(chance.random() * 0.01)
        house.accepted[-1].stream._transport.abort()
        gevent.joinall(callers, timeout=5)
    assert sorted(ends) == list(range(2000))
    assert all(len(outcomes) == 1 for outcomes in ends.values())
    assert len(started) == len(set(started))
    for number, (end,) in ends.items():
        if isinstance(end, Disconnected):
            assert end.sent or number not in started
        else:
            assert end == number


# ----------------------------------------------------------------------------------------------- answers find home


def test_answers_find_their_callers_in_whatever_order_they_come(house: Any) -> None:
    chance = random.Random(7)

    def slow(_channel: Any, number: int) -> int:
        gevent.sleep(chance.random() * 0.01)
        return number

    client, _ = house.pair({"slow": slow})
    got = {number: gevent.spawn(client.call, "slow", number) for number in range(200)}
    gevent.joinall(got.values(), timeout=10)
    assert [number for number, caller in got.items() if caller.value != number] == []


def test_37_an_answer_that_comes_twice_or_to_nobody_is_ignored(house: Any) -> None:
    client, server = house.pair({"echo": echo})
    for identifier in (10**6, 10**6, 5, 0, 10**9):
        server.send((1, identifier, None, "stray"))
    assert client.call("echo", 1) == [1]
    first = client._calls._last_id
    server.send((1, first, None, "again"))
    server.send((1, first + 1, None, "guessed"))
    server.call("firefly.ping")
    assert client.call("echo", 2) == [2]
    assert client.statistics()["stray_answers_total"] >= 3
    assert not client.closed


def test_ids_begin_again_and_pass_over_those_in_use(house: Any) -> None:
    client, _ = house.pair({"echo": echo, "slow": lambda _channel, value: gevent.sleep(0.1) or value})
    first = gevent.spawn(client.call, "slow", "first")
    gevent.sleep(0.01)
    client._calls._last_id = MAX_ID - 2
    later = [gevent.spawn(client.call, "slow", number) for number in range(30)]
    gevent.joinall([first, *later], timeout=5)
    assert first.value == "first"
    assert [caller.value for caller in later] == list(range(30))


def test_waiting_calls_are_bounded(house: Any, limits: Any) -> None:
    client, _ = house.pair({"slow": lambda _channel: gevent.sleep(0.05)}, limits=limits(pending=10))
    callers = [gevent.spawn(end_of, client.call, "slow") for _ in range(25)]
    gevent.joinall(callers, timeout=5)
    assert sum(isinstance(caller.value, Overloaded) for caller in callers) == 15
    assert client.call("slow") is None


def test_a_lost_channel_is_not_kept_alive(house: Any) -> None:
    """Nothing of the channel waits in a timer, a table or a runner once it is closed."""
    client, server = house.pair({"echo": echo})
    client.call("echo", timeout=5)
    client.close()
    while not server.closed:
        gevent.sleep(0.001)

    house.accepted.clear()
    house.lost.clear()
    house._channels.clear()
    reference = weakref.ref(client)
    del client, server
    gevent.sleep(0.15)
    gc.collect()
    assert reference() is None
