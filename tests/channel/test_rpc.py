"""Every call ends in exactly one of the promised ways, whatever happens at the other end."""

from __future__ import annotations

import logging
import time
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.exceptions import BlockingSwitchOutError

from firefly_core.errors import (
    CallError,
    DeadlineExceeded,
    Disconnected,
    NoSuchMethod,
    NotAuthorized,
    Overloaded,
    Refuse,
    RemoteError,
)


def echo(_channel: Any, *params: Any) -> Any:
    return list(params)


def wait(_channel: Any, seconds: float = 30) -> str:
    gevent.sleep(seconds)
    return "waited"


def refuse(_channel: Any) -> None:
    raise Refuse("too_far", "out of reach")


# ----------------------------------------------------------------------------------------------- K1: the outcomes


def test_a_call_gives_the_handlers_value(house: Any) -> None:
    client, server = house.pair({"echo": echo}, {"echo": echo})
    assert client.call("echo", 1, "a", b"b", {"c": [None, 2.5]}) == [1, "a", b"b", {"c": [None, 2.5]}]
    assert server.call("echo", "back") == ["back"]


def test_none_is_a_value(house: Any) -> None:
    client, _ = house.pair({"nothing": lambda _channel: None})
    assert client.call("nothing") is None


def test_a_refusal_arrives_with_code_and_message(house: Any) -> None:
    client, _ = house.pair({"refuse": refuse})
    with pytest.raises(RemoteError) as caught:
        client.call("refuse")
    assert (caught.value.code, caught.value.message) == ("too_far", "out of reach")


def test_an_unknown_method_says_so(house: Any) -> None:
    client, _ = house.pair()
    with pytest.raises(NoSuchMethod):
        client.call("nowhere")


def test_a_handler_may_say_not_authorized(house: Any) -> None:
    def deny(_channel: Any) -> None:
        raise NotAuthorized("not you")

    client, _ = house.pair({"deny": deny})
    with pytest.raises(NotAuthorized):
        client.call("deny")


def test_no_answer_in_time_is_deadline_exceeded(house: Any) -> None:
    client, _ = house.pair({"wait": wait})
    begin = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        client.call("wait", timeout=0.2)
    assert 0.2 <= time.monotonic() - begin < 5
    assert client.pending == 0


@pytest.mark.parametrize("who", ["the caller closes", "the peer closes", "the peer resets"])
def test_all_waiting_calls_end_at_once_when_the_channel_is_lost(house: Any, who: str) -> None:
    client, server = house.pair({"wait": wait})
    ends: list[Any] = []

    def call() -> None:
        try:
            ends.append(client.call("wait"))
        except CallError as error:
            ends.append(error)

    callers = [gevent.spawn(call) for _ in range(50)]
    client.call_later("wait", (), lambda error, _result: ends.append(error))
    while server.running.count < 51:
        gevent.sleep(0.001)
    begin = time.monotonic()
    if who == "the caller closes":
        client.close()
    elif who == "the peer closes":
        server.close()
    else:
        server.stream._transport.abort()
    gevent.joinall(callers, timeout=5)
    assert time.monotonic() - begin < 4
    assert len(ends) == 51
    assert all(type(end) is Disconnected and end.sent for end in ends)
    assert client.pending == 0


def test_k7_a_call_while_down_fails_fast_and_was_not_sent(house: Any) -> None:
    client, server = house.pair({"echo": echo})
    server.close()
    while not client.closed:
        gevent.sleep(0.001)
    times = []
    for _ in range(200):
        begin = time.monotonic()
        with pytest.raises(Disconnected) as caught:
            client.call("echo")
        times.append(time.monotonic() - begin)
        assert caught.value.sent is False
    assert sorted(times)[100] < 0.001
    assert client.notify("echo") is False


def test_a_call_before_the_hello_is_complete_was_not_sent(house: Any) -> None:
    client = house.dial(house.serve({"echo": echo}))
    with pytest.raises(Disconnected) as caught:
        client.call("echo")
    assert caught.value.sent is False


# ------------------------------------------------------------------------- K1: what a handler throws costs one reply


@pytest.mark.parametrize(
    "thrown",
    [ValueError("secret"), KeyError("x"), gevent.Timeout(5), gevent.GreenletExit(), SystemExit(3), KeyboardInterrupt()],
    ids=lambda thrown: type(thrown).__name__,
)
@pytest.mark.parametrize("blocks", [False, True], ids=["at once", "after blocking"])
def test_whatever_a_handler_throws_is_one_error_reply(
    house: Any, caplog: pytest.LogCaptureFixture, thrown: BaseException, blocks: bool
) -> None:
    def throw(_channel: Any) -> None:
        if blocks:
            gevent.sleep(0.001)
        raise thrown

    client, _ = house.pair({"throw": throw, "echo": echo})
    caplog.set_level(logging.CRITICAL + 1)
    for _ in range(50):
        with pytest.raises(RemoteError) as caught:
            client.call("throw")
        assert caught.value.code == "internal"
        assert "secret" not in caught.value.message
    assert client.call("echo", 1) == [1]


def test_endless_recursion_is_one_error_reply(house: Any, caplog: pytest.LogCaptureFixture) -> None:
    def recurse(channel: Any) -> Any:
        return recurse(channel)

    client, _ = house.pair({"recurse": recurse, "echo": echo})
    caplog.set_level(logging.CRITICAL + 1)
    with pytest.raises(RemoteError, match="internal"):
        client.call("recurse")
    assert client.call("echo", 1) == [1]


def test_an_internal_error_is_logged_under_the_trace_that_the_caller_sees(
    house: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_channel: Any) -> None:
        raise ValueError("the inside story")

    client, _ = house.pair({"fail": fail})
    with pytest.raises(RemoteError, match="trace abc123"):
        client.call("fail", meta={"trace": "abc123"})
    with pytest.raises(RemoteError) as caught:
        client.call("fail")
    made_up = caught.value.message.rpartition(" ")[2]
    records = [record for record in caplog.records if record.name == "firefly.channel"]
    assert ["abc123" in records[0].getMessage(), made_up in records[1].getMessage()] == [True, True]
    assert all(record.exc_info and "inside story" in str(record.exc_info[1]) for record in records)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (object(), "internal"),
        (2**64, "internal"),
        ("\ud800", "internal"),
        ({None: 1}, "bad_result"),
        ({b"bytes": 1}, "bad_result"),
        (b"x" * (1 << 20), "too_large"),
        ([0] * 65_537, "internal"),
    ],
    ids=["object", "2^64", "surrogate", "None as key", "bytes as key", "over 1 MiB", "over 65,536 entries"],
)
def test_a_result_that_cannot_travel_is_an_error_and_costs_nobody_else_anything(
    house: Any, caplog: pytest.LogCaptureFixture, result: Any, code: str
) -> None:
    client, _ = house.pair({"give": lambda _channel: result, "echo": echo})
    caplog.set_level(logging.CRITICAL + 1)
    ends: list[Any] = []
    client.call_later("echo", ("before",), lambda _error, value: ends.append(value))
    client.call_later("give", (), lambda error, _value: ends.append(error))
    client.call_later("echo", ("after",), lambda _error, value: ends.append(value))
    while len(ends) < 3:
        gevent.sleep(0.001)
    assert (ends[0], ends[2]) == (["before"], ["after"])
    assert ends[1].code == code


@pytest.mark.parametrize(
    ("param", "error"),
    [
        (object(), TypeError),
        (2**64, OverflowError),
        (b"x" * (1 << 20), Overloaded),
        ([0] * 65_537, ValueError),
        ({None: 1}, RemoteError),
    ],
    ids=["object", "2^64", "over 1 MiB", "over 65,536 entries", "None as key"],
)
def test_params_that_cannot_travel_are_the_callers_mistake_alone(house: Any, param: Any, error: Any) -> None:
    client, _ = house.pair({"echo": echo})
    with pytest.raises(error):
        client.call("echo", param)
    assert client.pending == 0
    assert client.call("echo", 1) == [1]


def test_a_method_name_that_no_peer_takes_is_refused_here(house: Any) -> None:
    client, _ = house.pair({"echo": echo})
    with pytest.raises(NoSuchMethod):
        client.call("m" * 257)
    assert client.call("echo", 1) == [1]


# ---------------------------------------------------------------------------------------------- kinds of call


def test_call_later_brings_value_and_error_to_the_callback(house: Any) -> None:
    client, _ = house.pair({"echo": echo, "refuse": refuse})
    ends: list[Any] = []
    client.call_later("echo", [1], lambda *end: ends.append(end))
    client.call_later("refuse", (), lambda *end: ends.append(end))
    while len(ends) < 2:
        gevent.sleep(0.001)
    assert ends[0] == (None, [1])
    assert (ends[1][0].code, ends[1][1]) == ("too_far", None)


def test_a_callback_that_raises_does_not_keep_others_from_their_answers(
    house: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client, _ = house.pair({"echo": echo})
    ends: list[Any] = []

    def fail(_error: Any, _result: Any) -> None:
        raise ValueError("a broken callback")

    for number in range(10):
        client.call_later("echo", (number,), fail if number % 2 else lambda _error, result: ends.append(result[0]))
    while len(ends) < 5:
        gevent.sleep(0.001)
    assert ends == [0, 2, 4, 6, 8]
    assert "broken callback" in caplog.text


def test_a_callback_hears_its_answer_before_what_the_peer_sent_behind_it(house: Any) -> None:
    def work(channel: Any) -> str:
        gevent.spawn(channel.notify, "news")
        return "done"

    heard: list[Any] = []
    client, _ = house.pair({"work": work}, {"news": lambda _channel: heard.append("news")})
    for number in range(20):
        client.call_later("work", (), lambda _error, result, number=number: heard.append((number, result)))
        while heard[-1:] != ["news"]:
            gevent.sleep(0.001)
        assert heard == [(number, "done"), "news"]
        heard.clear()


def test_a_callback_that_blocks_holds_up_nobody_else(house: Any) -> None:
    client, _ = house.pair({"echo": echo})
    ends: list[Any] = []

    def block(_error: Any, result: Any) -> None:
        gevent.sleep(0.05)
        ends.append(result[0])

    for number in range(10):
        client.call_later("echo", (number,), block if number == 3 else lambda _error, result: ends.append(result[0]))
    assert client.call("echo", "beside") == ["beside"]
    while len(ends) < 10:
        gevent.sleep(0.001)
    assert ends == [0, 1, 2, 4, 5, 6, 7, 8, 9, 3]


def test_a_call_later_that_was_given_up_is_not_heard_of_again(house: Any) -> None:
    started = Event()

    def slow(_channel: Any) -> str:
        started.set()
        gevent.sleep(0.05)
        return "late"

    client, server = house.pair({"slow": slow, "echo": echo})
    ends: list[Any] = []
    call = client.call_later("slow", (), lambda *end: ends.append(end))
    assert started.wait(5)
    client.give_up(call)
    client.give_up(call)
    while server.running.count:
        gevent.sleep(0.001)
    client.call("echo")
    assert ends == []
    assert client.pending == 0


def test_a_call_in_the_hub_is_refused_and_not_deadlocked(house: Any) -> None:
    client, _ = house.pair({"echo": echo})
    caught: list[Any] = []

    def in_the_hub() -> None:
        try:
            client.call("echo")
        except BlockingSwitchOutError as error:
            caught.append(error)

    gevent.get_hub().loop.run_callback(in_the_hub)
    gevent.sleep(0.01)
    assert len(caught) == 1
    assert client.pending == 0


def test_notifications_arrive_in_order_and_are_not_answered(house: Any) -> None:
    heard: list[Any] = []
    client, server = house.pair({"note": lambda _channel, number: heard.append(number), "echo": echo})
    assert all(client.notify("note", number) for number in range(500))
    client.call("echo")
    assert heard == list(range(500))
    assert server.statistics()["requests_total"] == 1


@pytest.mark.parametrize("timeout", [float("nan"), "5"])
def test_a_timeout_that_is_none_is_refused(house: Any, timeout: Any) -> None:
    client, _ = house.pair({"echo": echo})
    with pytest.raises((ValueError, TypeError)):
        client.call("echo", timeout=timeout)


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
def test_a_deadline_that_has_passed_sends_nothing(house: Any, timeout: float) -> None:
    client, server = house.pair({"echo": echo})
    with pytest.raises(DeadlineExceeded):
        client.call("echo", timeout=timeout)
    client.call("echo", timeout=float("inf"))
    assert server.statistics()["requests_total"] == 1


def test_what_a_channel_has_done_can_be_counted(house: Any) -> None:
    client, server = house.pair({"echo": echo, "refuse": refuse})
    client.call("echo")
    client.notify("echo")
    with pytest.raises(RemoteError):
        client.call("refuse")
    counted = client.statistics()
    assert (counted["calls_total"], counted["notifications_total"], counted["pending_calls"]) == (2, 1, 0)
    assert server.statistics()["requests_total"] == 2
