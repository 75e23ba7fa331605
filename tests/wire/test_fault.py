"""How the end of a call without a value travels."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from firefly_core.errors import (
    CallError,
    CommandTimeout,
    Conflict,
    DeadlineExceeded,
    Disconnected,
    NoSuchMethod,
    NotAuthorized,
    Overloaded,
    PayloadError,
    Refuse,
    RemoteError,
    Unavailable,
)
from firefly_core.wire.fault import decode_fault, encode_fault


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (RemoteError("own_code", "why"), RemoteError, "own_code"),
        (DeadlineExceeded("late"), DeadlineExceeded, "timeout"),
        (CommandTimeout("late"), DeadlineExceeded, "timeout"),
        (Overloaded("full"), Overloaded, "overloaded"),
        (NoSuchMethod("x"), NoSuchMethod, "no_such_method"),
        (NotAuthorized("x"), NotAuthorized, "not_authorized"),
        (Refuse("too_far", "out of reach"), RemoteError, "too_far"),
        (PayloadError("$.x"), RemoteError, "bad_request"),
        (Conflict("moved"), RemoteError, "conflict"),
        (Unavailable("away"), RemoteError, "unavailable"),
    ],
    ids=lambda value: value.__class__.__name__ if isinstance(value, BaseException) else None,
)
def test_each_end_of_a_call_arrives_as_itself(error: BaseException, kind: type[CallError], code: str) -> None:
    element = encode_fault(error)
    assert element is not None
    arrived = decode_fault(list(element))
    assert type(arrived) is kind
    assert arrived.code == code


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("secret"), SystemExit(1), gevent.Timeout(1), MemoryError()]
)
def test_what_a_caller_has_no_business_to_see_has_no_form(error: BaseException) -> None:
    assert encode_fault(error) is None


def test_a_handlers_own_lost_call_never_means_that_the_handler_did_not_run() -> None:
    element = encode_fault(Disconnected("lost", sent=False))
    assert element is not None
    arrived = decode_fault(list(element))
    assert isinstance(arrived, Disconnected)
    assert arrived.sent


@pytest.mark.parametrize("sent", [True, False])
def test_who_says_that_nothing_was_started_passes_on_what_is_known(sent: bool) -> None:
    element = encode_fault(Disconnected("lost", sent=sent), started=False)
    assert element is not None
    arrived = decode_fault(list(element))
    assert isinstance(arrived, Disconnected)
    assert arrived.sent is sent


@pytest.mark.parametrize(
    "element", ["plain text", 7, {"code": 1}, [], ["a"], ["a", 1], [1, "a"], ["a", "b", "c"], True, b"x"]
)
def test_the_error_of_a_foreign_server_may_be_anything(element: Any) -> None:
    arrived = decode_fault(element)
    assert isinstance(arrived, RemoteError)
    assert arrived.code == "error"
    assert (element if isinstance(element, str) else repr(element)) == arrived.message


def test_codes_and_messages_are_cut() -> None:
    element = encode_fault(Refuse("c" * 100, "m" * 5000))
    assert element == ("c" * 64, "m" * 1024)
    arrived = decode_fault(["c" * 100, "m" * 5000])
    assert isinstance(arrived, RemoteError)
    assert (arrived.code, arrived.message) == ("c" * 64, "m" * 1024)
    assert len(str(decode_fault("x" * 5000))) < 2000
