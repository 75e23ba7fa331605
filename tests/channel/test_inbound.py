"""The incoming side: what starts, in which order, how much at once, and what ends the channel."""

from __future__ import annotations

import os
import pickle
import time
from typing import Any

import gevent
import pytest
from gevent.event import Event

from firefly_core.errors import CallError, CommandTimeout, DeadlineExceeded, Overloaded


def echo(_channel: Any, *params: Any) -> Any:
    return list(params)


def end_of(call: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return call(*arguments, **options)
    except CallError as error:
        return error


# -------------------------------------------------------------------------------------------------------- order


def test_k5_handlers_start_in_send_order_even_where_some_block(house: Any) -> None:
    started: list[int] = []

    def run(_channel: Any, number: int) -> int:
        started.append(number)
        if number % 7 == 0:
            gevent.sleep(0.001)
        return number

    client, _ = house.pair({"run": run})
    answers: list[int] = []
    for number in range(600):
        if number % 2:
            client.notify("run", number)
        else:
            client.call_later("run", (number,), lambda _error, result: answers.append(result))
        if number % 100 == 0:
            gevent.sleep(0)
    while len(answers) < 300:
        gevent.sleep(0.001)
    assert started == list(range(600))
    assert sorted(answers) == list(range(0, 600, 2))


def test_an_early_answer_does_not_wait_for_a_late_one(house: Any) -> None:
    release = Event()
    client, _ = house.pair({"wait": lambda _channel: release.wait(5), "echo": echo})
    order: list[Any] = []
    client.call_later("echo", (1,), lambda _error, result: order.append(result))
    client.call_later("wait", (), lambda _error, result: order.append(result))
    client.call_later("echo", (2,), lambda _error, result: order.append(result))
    while len(order) < 2:
        gevent.sleep(0.001)
    assert order == [[1], [2]]
    release.set()
    while len(order) < 3:
        gevent.sleep(0.001)


def test_a_burst_of_large_requests_whose_handlers_all_block_is_served(house: Any, limits: Any) -> None:
    """More arrives than the decoder may buffer, while each request passes the loop on to another runner."""
    limits = limits(inflight=10_000)
    client, server = house.pair({"run": lambda _channel, body: gevent.sleep(0.01) or len(body)}, limits=limits)
    calls = [gevent.spawn(end_of, client.call, "run", b"x" * 20_000) for _ in range(400)]
    gevent.joinall(calls, timeout=20)
    assert [call.value for call in calls] == [20_000] * 400
    assert not server.closed


# ------------------------------------------------------------------------------------------------------ in flight


def test_k9_requests_beyond_the_bound_are_answered_without_starting(house: Any) -> None:
    release, started = Event(), []

    def wait(_channel: Any, number: int) -> None:
        started.append(number)
        release.wait(10)

    client, server = house.pair({"wait": wait})
    ends: list[Any] = []
    for number in range(300):
        client.call_later("wait", (number,), lambda error, _result: ends.append(error))
    while len(ends) < 44:
        gevent.sleep(0.001)
    assert server.running.count == 256
    assert all(type(error) is Overloaded for error in ends)
    assert client.call("firefly.ping") is None
    release.set()
    while len(ends) < 300:
        gevent.sleep(0.001)
    assert ends[44:] == [None] * 256
    assert started == list(range(256))
    assert server.running.count == 0


def test_k9_cancelled_handlers_that_still_run_count(house: Any, limits: Any) -> None:
    release = Event()

    def stubborn(_channel: Any) -> None:
        while not release.is_set():
            try:
                release.wait(10)
            except CommandTimeout:
                continue

    client, server = house.pair({"stubborn": stubborn, "echo": echo}, limits=limits(inflight=20))
    for _ in range(20):
        client.give_up(client.call_later("stubborn", (), lambda _error, _result: None))
        client.call_later("stubborn", (), lambda _error, _result: None)
    while server.running.count < 20:
        gevent.sleep(0.001)
    assert type(end_of(client.call, "stubborn")) is Overloaded
    for number in list(server.running.by_id):
        client.notify("firefly.cancel", number)
    assert type(end_of(client.call, "echo")) is Overloaded
    assert server.running.count == 20
    release.set()
    while server.running.count:
        gevent.sleep(0.001)
    assert client.call("echo", 1) == [1]


def test_k9_a_flood_of_cancels_closes_the_channel(house: Any) -> None:
    client, server = house.pair({"echo": echo})
    for number in range(512):
        client.notify("firefly.cancel", number)
    assert client.call("echo", 1) == [1]
    client.notify("firefly.cancel", 1)
    while not server.closed:
        gevent.sleep(0.001)
    assert server.reason == "cancel_flood"


@pytest.mark.parametrize("callers", [100, 300])
def test_k9_handlers_on_both_sides_that_call_back_all_end(house: Any, callers: int) -> None:
    def back(channel: Any, number: int) -> Any:
        gevent.sleep(0)
        return channel.call("echo", number)

    handlers = {"back": back, "echo": echo}
    client, server = house.pair(handlers, handlers)
    calls = [gevent.spawn(end_of, side.call, "back", number) for number in range(callers) for side in (client, server)]
    gevent.joinall(calls, timeout=20)
    ends = [call.value for call in calls]
    assert all(type(end) in (list, Overloaded) for end in ends)
    if callers == 100:
        assert [end for end in ends if type(end) is not list] == []
    assert client.pending == server.pending == client.running.count == server.running.count == 0


def test_notifications_beyond_the_bound_are_counted_and_not_run(house: Any, limits: Any) -> None:
    release, ran = Event(), []

    def wait(_channel: Any, number: int) -> None:
        ran.append(number)
        release.wait(10)

    client, server = house.pair({"wait": wait}, limits=limits(inflight=5))
    for number in range(8):
        client.notify("wait", number)
    client.call("firefly.ping")
    assert ran == [0, 1, 2, 3, 4]
    assert server.statistics()["notifications_dropped_total"] == 3
    release.set()


def test_methods_with_a_bound_of_their_own_do_not_count(house: Any, limits: Any) -> None:
    release = Event()
    handlers = {"firefly.command": lambda _channel: release.wait(10), "echo": echo}
    client, server = house.pair(handlers, limits=limits(inflight=3))
    calls = [gevent.spawn(client.call, "firefly.command") for _ in range(50)]
    while len(server.running.by_id) < 50:
        gevent.sleep(0.001)
    assert server.running.count == 0
    assert client.call("echo", 1) == [1]
    release.set()
    gevent.joinall(calls, timeout=5)
    assert [call.value for call in calls] == [True] * 50


# ------------------------------------------------------------------------------------------------ malformed input


def survives(house: Any) -> None:
    """Somebody else is served as before."""
    other = house.dial(house._listeners[-1].address)
    while not other.authenticated:
        gevent.sleep(0.001)
    assert other.call("echo", "still here") == ["still here"]


BYTES = {
    "1": bytes.fromhex("fffffffc"),
    "2": bytes.fromhex("ffffffff") + b"\x41" * 8,
    "5": bytes.fromhex("7fffffff"),
    "17 a frame and garbage": b"\x93\x02\xa1m\x90\xc1",
    "21 TLS": bytes.fromhex("1603010200010001fc0303") + os.urandom(508),
    "24": b"\0" * (1 << 20),
    "25": os.urandom(1 << 20),
    "30 marshal": bytes.fromhex("5bffffff7f"),
    "31 pickle": pickle.dumps(os.system, protocol=4),
    "31 old pickle": b"cos\nsystem\n(S'true'\ntR.",
    "HTTP": b"POST /\x94\x00\x01\xa4echo\x90 HTTP/1.1\r\nHost: localhost\r\n\r\n\x94\x00\x01\xa4echo\x90",
    "43": b"\xc1",
    "44": bytes.fromhex("ddffffffff"),
    "45": bytes.fromhex("dfffffffff"),
    "47": b"\x91" * 1025,
    "48": b"\x94\x00\x01\xa1m\x91\xdb\xff\xff\xff\xff" + b"a" * 8192,
    "49": b"\x94\x00\x01\xa1m\x91\xc6\x7f\xff\xff\xff" + b"a" * 8192,
    "51": b"\x94\x00\x01\xa3\xed\xa0\x80\x90",
    "56": bytes.fromhex("d40500"),
    "60": b"\x94\x00\x01\xa1m\x90\x01\x02",
    "62": b"\xdc\xff\xff" + b"\x80" * 65_535,
}


@pytest.mark.parametrize("data", BYTES.values(), ids=BYTES.keys())
def test_what_is_not_a_message_ends_that_connection_only(house: Any, data: bytes) -> None:
    house.serve({"echo": echo}, open=["echo"])
    raw = house.raw()
    assert cut_off(raw, data) or raw.ended()
    while not house.accepted[0].closed:
        gevent.sleep(0.001)
    assert house.accepted[0].reason in ("bad_msgpack", "bad_shape", "bad_id", "too_long")
    survives(house)


def cut_off(raw: Any, data: bytes) -> bool:
    """Whether the other side stops taking the bytes."""
    try:
        raw.send(data)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def test_16_ten_thousand_frames_in_one_segment_are_all_answered(house: Any) -> None:
    house.serve({"echo": echo}, open=["echo"])
    raw = house.raw()
    sender = gevent.spawn(raw.send, *[[0, number, "echo", [number]] for number in range(10_000)])
    answers = {}
    while len(answers) < 10_000:
        _, identifier, error, result = raw.receive()
        answers[identifier] = (error, result)
    sender.join(5)
    assert [number for number, answer in answers.items() if answer != (None, [number])] == []


def test_half_a_frame_and_silence_holds_nobody_up(house: Any) -> None:
    house.serve({"echo": echo}, open=["echo"])
    raw = house.raw()
    raw.send(b"\x94\x00\x01")
    survives(house)
    raw.send(b"\xa4echo\x91\x07")
    assert raw.receive() == [1, 1, None, [7]]


@pytest.mark.parametrize("identifier", [0, 1, 2**32 - 1])
def test_35_every_unsigned_id_is_answered(house: Any, identifier: int) -> None:
    house.serve({"echo": echo}, open=["echo"])
    raw = house.raw()
    raw.send([0, identifier, "echo", []])
    assert raw.receive() == [1, identifier, None, []]


@pytest.mark.parametrize("identifier", [2**32, 2**64 - 1, -1, "1", None, 1.0, True], ids=repr)
def test_35_an_id_of_another_kind_ends_the_connection(house: Any, identifier: Any) -> None:
    house.serve({"echo": echo}, open=["echo"])
    raw = house.raw()
    raw.send([0, identifier, "echo", []])
    assert raw.ended()
    survives(house)


def test_35_an_id_that_is_in_flight_ends_the_connection(house: Any) -> None:
    starts: list[int] = []

    def wait(_channel: Any) -> None:
        starts.append(1)
        gevent.sleep(0.2)

    client, server = house.pair({"wait": wait})
    client.send((0, 99, "wait", []))
    client.send((0, 99, "wait", []))
    while not server.closed:
        gevent.sleep(0.001)
    assert server.reason == "duplicate_id"
    assert starts == [1]


def test_an_id_is_free_again_once_it_is_answered(house: Any) -> None:
    house.serve({"echo": echo, "wait": lambda _channel: gevent.sleep(0.001)}, open=["echo", "wait"])
    raw = house.raw()
    for method, result in (("echo", []), ("wait", None), ("echo", []), ("wait", None)):
        raw.send([0, 5, method, []])
        assert raw.receive() == [1, 5, None, result]


@pytest.mark.parametrize("deadline", [0, -1, -(2**63)])
def test_38_what_has_expired_on_arrival_is_not_executed(house: Any, deadline: int) -> None:
    ran: list[Any] = []
    client, _ = house.pair({"run": lambda _channel: ran.append(1), "echo": echo})
    heard: list[Any] = []
    client._calls.pending.table[99] = (lambda error, _result: heard.append(error), time.monotonic() + 5, 0, False)
    client.send((0, 99, "run", [], {"deadline": deadline}))
    client.call("echo")
    while not heard:
        gevent.sleep(0.001)
    assert isinstance(heard[0], DeadlineExceeded)
    assert ran == []


@pytest.mark.parametrize("deadline", [float("nan"), "5", True, 1.5, []], ids=repr)
@pytest.mark.parametrize("kind", ["request", "notification"])
def test_38_a_deadline_of_another_kind_ends_the_channel(house: Any, kind: str, deadline: Any) -> None:
    ran: list[Any] = []
    client, server = house.pair({"run": lambda _channel: ran.append(1)})
    extra = {"deadline": deadline}
    client.send((0, 99, "run", [], extra) if kind == "request" else (2, "run", [], extra))
    while not server.closed:
        gevent.sleep(0.001)
    assert server.reason == "bad_deadline"
    assert ran == []


def test_38_a_notification_that_has_expired_is_not_run(house: Any) -> None:
    ran: list[Any] = []
    client, server = house.pair({"run": lambda _channel: ran.append(1)})
    client.notify("run", meta={"deadline": 0})
    client.notify("run", meta={"deadline": 5000})
    client.call("firefly.ping")
    assert ran == [1]
    assert server.statistics()["notifications_dropped_total"] == 1


def test_what_expires_behind_a_busy_handler_is_not_executed(house: Any) -> None:
    ran: list[Any] = []

    def busy(_channel: Any) -> None:
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            pass

    client, _ = house.pair({"busy": busy, "run": lambda _channel: ran.append(1)})
    client.notify("busy")
    error = end_of(client.call, "run", timeout=0.05)
    assert error.code == "timeout"
    client.call("firefly.ping")
    assert ran == []


def test_38_a_deadline_far_away_is_a_day(house: Any) -> None:
    client, _ = house.pair({"look_": lambda channel, _params, meta, _id: channel.expires(meta) - time.monotonic()})
    client.send((0, 99, "look_", [], {"deadline": 2**63}))
    client._calls.pending.table[99] = (lambda *end: ends.append(end), time.monotonic() + 5, 0, False)
    ends: list[Any] = []
    while not ends:
        gevent.sleep(0.001)
    assert 86_000 < ends[0][1] < 87_000


@pytest.mark.parametrize("method", ["__init__", "remote_x", "os.system", "", "firefly.", "firefly.nothing", "é\0"])
def test_39_a_method_nobody_offers_is_answered(house: Any, method: str) -> None:
    client, _ = house.pair({"echo": echo})
    assert end_of(client.call, method).code == "no_such_method"


def test_41_a_flood_of_pings_is_answered_and_harms_nobody(house: Any) -> None:
    client, _ = house.pair({"echo": echo})
    pings = 0
    ends: list[Any] = []
    for _ in range(20):
        for _ in range(500):
            client.call_later("firefly.ping", (), lambda *end: ends.append(end))
            pings += 1
        gevent.sleep(0)
    survives(house)
    while len(ends) < pings:
        gevent.sleep(0.001)
    assert set(ends) == {(None, None)}


@pytest.mark.parametrize("params", [[], [1, 2], ["1"], [None], [True], [1.0]], ids=repr)
def test_a_cancel_of_another_shape_ends_the_channel(house: Any, params: list[Any]) -> None:
    client, server = house.pair({"echo": echo})
    client.send((2, "firefly.cancel", params))
    while not server.closed:
        gevent.sleep(0.001)
    assert server.reason == "bad_cancel"


def test_42_cancels_of_requests_never_sent_are_ignored(house: Any) -> None:
    client, _ = house.pair({"echo": echo})
    for number in (0, 5, 2**64 - 1, -1):
        client.notify("firefly.cancel", number)
    assert client.call("echo", 1) == [1]


def test_nothing_starts_on_a_channel_that_a_handler_has_closed(house: Any) -> None:
    ran: list[int] = []
    client, _ = house.pair({"close": lambda channel: channel.close(), "run": lambda _channel: ran.append(1)})
    client.notify("close")
    for _ in range(5):
        client.notify("run")
    while not client.closed:
        gevent.sleep(0.001)
    assert ran == []


def test_a_handler_runs_on_when_its_channel_is_lost(house: Any) -> None:
    done = Event()

    def work(_channel: Any) -> str:
        gevent.sleep(0.05)
        done.set()
        return "nobody hears it"

    client, server = house.pair({"work": work})
    client.call_later("work", (), lambda _error, _result: None)
    while not server.running.count:
        gevent.sleep(0.001)
    client.close()
    assert done.wait(5)
    while server.running.count:
        gevent.sleep(0.001)
