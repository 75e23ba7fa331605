"""Deadlines and cancels of the handlers that run for a peer."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import gevent
import pytest
from gevent.event import Event

from firefly_core.errors import CallError, CommandTimeout, DeadlineExceeded


def end_of(call: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return call(*arguments, **options)
    except CallError as error:
        return error


def test_k6_a_running_handler_is_cancelled_at_its_deadline(house: Any) -> None:
    cut: list[float] = []

    def work(_channel: Any) -> None:
        begin = time.monotonic()
        try:
            gevent.sleep(30)
        except CommandTimeout:
            cut.append(time.monotonic() - begin)
            raise

    client, server = house.pair({"work": work})
    with pytest.raises(DeadlineExceeded):
        client.call("work", timeout=0.1)
    while server.running.count:
        gevent.sleep(0.001)
    assert len(cut) == 1
    assert 0.09 < cut[0] < 5


def test_a_deadline_is_kept_without_the_callers_cancel(house: Any) -> None:
    ended = Event()

    def work(_channel: Any) -> None:
        try:
            gevent.sleep(30)
        finally:
            ended.set()

    client, server = house.pair({"work": work})
    client.send((0, 99, "work", [], {"deadline": 50}))
    assert ended.wait(1)
    while server.running.count:
        gevent.sleep(0.001)


def test_what_carries_no_deadline_has_the_default_one(house: Any, limits: Any) -> None:
    ended: list[str] = []

    def work(_channel: Any, kind: str) -> None:
        try:
            gevent.sleep(30)
        except CommandTimeout:
            ended.append(kind)
            raise

    client, server = house.pair({"work": work}, limits=limits(timeout=0.1))
    client.send((0, 99, "work", ["request"]))
    client.send((2, "work", ["notification"]))
    while len(ended) < 2:
        gevent.sleep(0.001)
    assert sorted(ended) == ["notification", "request"]
    while server.running.count:
        gevent.sleep(0.001)


def test_an_except_exception_does_not_swallow_the_deadline(house: Any) -> None:
    swallowed: list[Any] = []

    def work(_channel: Any) -> None:
        while not swallowed:
            try:
                gevent.sleep(30)
            except Exception as error:
                swallowed.append(error)

    client, server = house.pair({"work": work})
    assert isinstance(end_of(client.call, "work", timeout=0.05), DeadlineExceeded)
    while server.running.count:
        gevent.sleep(0.001)
    assert swallowed == []


def test_a_deadline_never_hits_what_the_runner_does_next(house: Any) -> None:
    """The runner of an answered request soon carries another one, when the first one's deadline passes."""
    hit: list[Any] = []

    def work(_channel: Any, seconds: float) -> None:
        try:
            gevent.sleep(seconds)
        except CommandTimeout as error:
            hit.append(error)
            raise

    client, _ = house.pair({"work": work})
    for _ in range(20):
        client.call("work", 0.001, timeout=0.05)
    calls = [gevent.spawn(end_of, client.call, "work", 0.15) for _ in range(20)]
    gevent.joinall(calls, timeout=5)
    assert [call.value for call in calls] == [None] * 20
    assert hit == []
    assert house.runners.started < 40


def test_a_deadline_never_hits_a_runner_in_the_pool(house: Any, caplog: pytest.LogCaptureFixture) -> None:
    client, _ = house.pair({"work": lambda _channel: gevent.sleep(0.001)})
    for _ in range(30):
        # On a busy machine the answer may come too late; what counts is whom the deadline hits.
        with contextlib.suppress(DeadlineExceeded):
            client.call("work", timeout=0.03)
    gevent.sleep(0.1)
    assert "retired" not in caplog.text


def test_nested_calls_end_when_the_outer_deadline_passes(house: Any) -> None:
    ended: list[str] = []

    def inner(_channel: Any) -> None:
        try:
            gevent.sleep(30)
        finally:
            ended.append("inner")

    def outer(channel: Any) -> Any:
        try:
            return channel.call("inner")
        finally:
            ended.append("outer")

    client, server = house.pair({"outer": outer}, {"inner": inner})
    begin = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        client.call("outer", timeout=0.1)
    while len(ended) < 2:
        gevent.sleep(0.001)
    assert ended == ["outer", "inner"]
    assert time.monotonic() - begin < 5
    while server.running.count or client.running.count:
        gevent.sleep(0.001)
    assert client.pending == server.pending == 0


def test_a_cancelled_handler_that_goes_on_is_cancelled_once(house: Any) -> None:
    hits: list[int] = []
    release = Event()

    def stubborn(_channel: Any) -> str:
        while not release.is_set():
            try:
                release.wait(5)
            except CommandTimeout:
                hits.append(1)
        return "in the end"

    client, server = house.pair({"stubborn": stubborn})
    assert isinstance(end_of(client.call, "stubborn", timeout=0.05), DeadlineExceeded)
    gevent.sleep(0.2)
    # Once for the deadline, and once for the caller's cancel.
    assert 1 <= len(hits) <= 2
    assert server.running.count == 1
    release.set()
    while server.running.count:
        gevent.sleep(0.001)


def test_deadlines_are_kept_after_the_channel_is_lost(house: Any) -> None:
    ended = Event()

    def work(_channel: Any) -> None:
        try:
            gevent.sleep(30)
        except CommandTimeout:
            ended.set()
            raise

    client, server = house.pair({"work": work})
    client.call_later("work", (), lambda _error, _result: None, timeout=0.2)
    while not server.running.count:
        gevent.sleep(0.001)
    client.close()
    assert ended.wait(2)
    while server.running.count:
        gevent.sleep(0.001)
