"""Answers that are given after the dispatcher has returned."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from firefly_core.channel.later import Later
from firefly_core.errors import CallError, DeadlineExceeded, Disconnected, Refuse, RemoteError


def end_of(call: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return call(*arguments, **options)
    except CallError as error:
        return error


@pytest.fixture
def desk(house: Any) -> Any:
    """A pair whose server puts every `ask_` off: `(client, server, laters)`."""
    laters: list[Later] = []

    def ask(channel: Any, _params: Any, meta: Any, request_id: int | None) -> Later:
        laters.append(Later(channel, request_id, meta))
        return laters[-1]

    def now(channel: Any, _params: Any, meta: Any, request_id: int | None) -> Later:
        later = Later(channel, request_id, meta)
        later.reply("at once")
        return later

    client, server = house.pair({"ask_": ask, "now_": now, "echo": lambda _channel, value: value})
    return client, server, laters


def asked(desk: Any, count: int = 1, **options: Any) -> list[Any]:
    """Ask, and give the callers once their requests wait at the desk."""
    client, _, laters = desk
    callers = [gevent.spawn(end_of, client.call, "ask_", **options) for _ in range(count)]
    while len(laters) < count:
        gevent.sleep(0.001)
    return callers


def test_an_answer_in_any_order_finds_its_caller(desk: Any) -> None:
    callers = asked(desk, 300)
    _, server, laters = desk
    assert server.running.count == 0
    for number, later in reversed(list(enumerate(laters))):
        later.reply(number)
    gevent.joinall(callers, timeout=5)
    assert sorted(caller.value for caller in callers) == list(range(300))
    assert server.running.by_id == {}


def test_the_channel_goes_on_meanwhile(desk: Any) -> None:
    (caller,) = asked(desk)
    client, _, laters = desk
    assert client.call("echo", 1) == 1
    laters[0].reply(None)
    assert caller.get(timeout=5) is None


def test_an_answer_before_the_dispatcher_returns_is_one_answer(desk: Any) -> None:
    client, _, _ = desk
    assert [client.call("now_") for _ in range(3)] == ["at once"] * 3


class Guest:
    """Answers each of its requests; one that is to wait holds up the next."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Later, float]] = []
        self.blocked: list[Any] = []
        self.ran_by: list[Any] = []

    def ask(self, channel: Any, params: Any, meta: Any, request_id: int | None) -> Later:
        later = Later(channel, request_id, meta)
        self.jobs.append((later, params[0]))
        if len(self.jobs) == 1:
            later.host(self)
        return later

    def on_data(self, _data: bytes) -> None:
        while self.jobs:
            later, seconds = self.jobs[0]
            self.ran_by.append(gevent.getcurrent())
            if seconds:
                gevent.sleep(seconds)
            later.reply(seconds)
            self.jobs.pop(0)

    def on_blocked(self, runner: Any) -> None:
        self.blocked.append(runner)


def test_a_guest_that_blocks_is_told_and_the_channel_goes_on(house: Any) -> None:
    first, second = Guest(), Guest()
    client, server = house.pair({"first_": first.ask, "second_": second.ask, "echo": lambda _channel, value: value})
    ends: list[Any] = []
    asks = (("first_", 0.02), ("first_", 0), ("second_", 0), ("echo", "beside"), ("second_", 0.01))
    for method, value in asks:
        client.call_later(method, (value,), lambda _error, result, method=method: ends.append((method, result)))
    while len(ends) < len(asks):
        gevent.sleep(0.001)
    # In the order of each guest's requests, and nobody behind another guest's handler.
    assert ends == [("second_", 0), ("echo", "beside"), ("second_", 0.01), ("first_", 0.02), ("first_", 0)]
    # It counts as the guest's own, not as the channel's.
    assert (first.blocked, len(second.blocked)) == ([first.ran_by[0]], 1)
    assert first.ran_by[0] is first.ran_by[1]
    assert (server.running.count, server.running.by_id) == (0, {})
    assert client.call("echo", "again") == "again"


def test_only_the_first_answer_counts(desk: Any) -> None:
    callers = asked(desk, 2)
    client, _, laters = desk
    laters[0].reply("first")
    laters[0].reply("second")
    laters[0].fail(ValueError("third"))
    laters[1].fail(Refuse("no", "no"))
    laters[1].reply("too late")
    assert callers[0].get(timeout=5) == "first"
    assert callers[1].get(timeout=5).code == "no"
    assert client.call("echo", 1) == 1
    assert client.statistics()["stray_answers_total"] == 0


@pytest.mark.parametrize("started", [True, False])
def test_who_passes_a_request_on_may_say_that_nothing_was_executed(desk: Any, started: bool) -> None:
    (caller,) = asked(desk)
    desk[2][0].fail(Disconnected("gone", sent=False), started=started)
    error = caller.get(timeout=5)
    assert isinstance(error, Disconnected)
    assert error.sent is started


def test_at_the_deadline_the_channel_answers_and_says_so(desk: Any) -> None:
    _client, server, laters = desk
    told: list[int] = []
    (caller,) = asked(desk, timeout=0.1)
    laters[0].on_cancel = lambda: told.append(1)
    assert isinstance(caller.get(timeout=5), DeadlineExceeded)
    while not told:
        gevent.sleep(0.001)
    assert not laters[0].open
    assert server.running.by_id == {}
    laters[0].reply("too late")
    assert told == [1]


def test_a_caller_that_gives_up_is_told_to_who_would_answer(desk: Any) -> None:
    _client, server, laters = desk
    told: list[int] = []
    (caller,) = asked(desk)
    laters[0].on_cancel = lambda: told.append(1)
    caller.kill(timeout=5)
    while not told:
        gevent.sleep(0.001)
    assert not laters[0].open
    assert server.running.by_id == {}


def test_an_answer_to_a_lost_channel_is_ignored(desk: Any) -> None:
    client, server, laters = desk
    (caller,) = asked(desk)
    client.close()
    while not server.closed:
        gevent.sleep(0.001)
    assert laters[0].open
    laters[0].reply("nobody hears it")
    assert not laters[0].open
    assert isinstance(caller.get(timeout=5), Disconnected)


def test_an_answer_to_a_notification_is_ignored(desk: Any) -> None:
    client, server, laters = desk
    client.notify("ask_")
    client.call("echo", 1)
    laters[0].reply("nobody asked")
    assert client.call("echo", 2) == 2
    assert server.running.by_id == {}


def test_an_internal_failure_is_told_as_such(desk: Any) -> None:
    (caller,) = asked(desk)
    desk[2][0].fail(ValueError("inside"))
    error = caller.get(timeout=5)
    assert isinstance(error, RemoteError)
    assert error.code == "internal"
    assert "inside" not in error.message
