"""Each waiting call is woken exactly once."""

from __future__ import annotations

import time
from typing import Any

import gevent
import pytest

from firefly_core.channel.pending import PendingCalls
from firefly_core.errors import DeadlineExceeded, Disconnected, RemoteError


@pytest.fixture
def pending() -> PendingCalls:
    return PendingCalls(gevent.get_hub().loop, time.monotonic)


def wait(
    pending: PendingCalls,
    identifier: int,
    ends: list[Any],
    *,
    expires: float = 5.0,
    position: int = 0,
    in_hub: bool = False,
) -> None:
    """Let somebody wait."""
    moment = time.monotonic() + expires
    pending.table[identifier] = (lambda *end: ends.append((identifier, *end)), moment, position, in_hub)
    pending.alarm.set(moment)


def answer(pending: PendingCalls, *messages: list[Any]) -> None:
    for message in messages:
        pending.take(message)


def test_an_answer_wakes_whom_it_is_for(pending: PendingCalls) -> None:
    ends: list[Any] = []
    for identifier in (20, 21, 22):
        wait(pending, identifier, ends)
    answer(pending, [1, 21, None, "b"], [1, 20, ["too_far", "no"], None])
    assert ends[0] == (21, None, "b")
    assert isinstance(ends[1][1], RemoteError)
    assert list(pending.table) == [22]


def test_who_can_only_be_told_in_the_hub_is_told_there(pending: PendingCalls) -> None:
    ends: list[Any] = []
    for identifier in (20, 21):
        wait(pending, identifier, ends, in_hub=True)
    answer(pending, [1, 21, None, "b"], [1, 20, ["too_far", "no"], None], [1, 21, None, "again"])
    assert ends == []
    gevent.sleep(0.005)
    assert ends[0] == (21, None, "b")
    assert isinstance(ends[1][1], RemoteError)
    assert pending.strays == 1


def test_a_second_answer_and_one_for_nobody_are_strays(pending: PendingCalls) -> None:
    ends: list[Any] = []
    wait(pending, 20, ends)
    answer(pending, [1, 20, None, 1], [1, 20, None, 2], [1, 99, None, 3])
    assert ends == [(20, None, 1)]
    assert pending.strays == 2


def test_a_deadline_ends_those_that_are_due_and_no_others(pending: PendingCalls) -> None:
    ends: list[Any] = []
    told: list[Any] = []
    pending.on_expired = lambda *call: told.append(call)
    wait(pending, 20, ends, expires=0.02, position=7)
    wait(pending, 21, ends, expires=0.06, position=8)
    wait(pending, 22, ends, expires=5)
    gevent.sleep(0.04)
    assert [end[0] for end in ends] == [20]
    gevent.sleep(0.06)
    assert [end[0] for end in ends] == [20, 21]
    assert all(isinstance(end[1], DeadlineExceeded) for end in ends)
    assert told == [(20, 7), (21, 8)]
    assert list(pending.table) == [22]


def test_a_loss_ends_all_and_says_what_was_sent(pending: PendingCalls) -> None:
    ends: list[Any] = []
    for identifier in range(20, 30):
        wait(pending, identifier, ends, position=identifier, in_hub=identifier == 25)
    answer(pending, [1, 25, None, "arrived before"])
    pending.fail("reset", 24)
    assert len(ends) == 10
    by_id = {end[0]: end for end in ends}
    assert by_id[25] == (25, None, "arrived before")
    errors = {identifier: end[1] for identifier, end in by_id.items() if identifier != 25}
    assert all(isinstance(error, Disconnected) for error in errors.values())
    assert {identifier: error.sent for identifier, error in errors.items()} == {
        identifier: identifier < 24 for identifier in errors
    }
    assert pending.table == {}


def test_those_who_are_woken_may_call_again(pending: PendingCalls) -> None:
    ends: list[Any] = []

    def again(*_end: Any) -> None:
        wait(pending, 50, ends)

    pending.table[20] = (again, time.monotonic() + 5, 0, False)
    pending.fail("reset", 1)
    assert [end[0] for end in ends] == [50]


def test_who_fails_when_woken_keeps_nobody_from_his_end(
    pending: PendingCalls, caplog: pytest.LogCaptureFixture
) -> None:
    ends: list[Any] = []

    def broken(*_end: Any) -> None:
        raise ValueError("a broken callback")

    for identifier in range(20, 26):
        wait(pending, identifier, ends)
        if identifier % 2:
            pending.table[identifier] = (broken, time.monotonic() + 5, 0, False)
    answer(pending, *([1, identifier, None, None] for identifier in range(20, 23)))
    pending.fail("reset", 1)
    assert [end[0] for end in ends] == [20, 22, 24]
    assert caplog.text.count("a broken callback") >= 3
