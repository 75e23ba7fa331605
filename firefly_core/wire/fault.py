"""How the end of a call that brought no value travels: the error element of a response is `[code, message]`."""

from __future__ import annotations

from typing import Any

from firefly_core.errors import (
    CallError,
    DeadlineExceeded,
    Disconnected,
    NoSuchMethod,
    NotAuthorized,
    Overloaded,
    RemoteError,
    client_error,
)

__all__ = ["LOST", "NOT_SENT", "decode_fault", "encode_fault"]

LOST, NOT_SENT = "disconnected", "not_sent"
"""Codes of Disconnected: whether it may have been executed is unknown, and certainly not executed."""
MAX_MESSAGE = 1024
MAX_CODE = 64
FOREIGN = "error"
"""The code given to the error of a peer that does not send `[code, message]`."""
KINDS: dict[str, type[CallError]] = {
    kind.code: kind for kind in (DeadlineExceeded, NoSuchMethod, NotAuthorized, Overloaded)
}


def encode_fault(error: BaseException, *, started: bool = True) -> tuple[str, str] | None:
    """Give the error element for `error`, or None where the caller must see `internal` only.

    `started=False` says that nothing was executed for this request, so that `Disconnected(sent=False)` may reach the
    caller as such; what a handler's own call met says nothing of the handler.
    """
    match error:
        case RemoteError():
            code, message = error.code, error.message
        case Disconnected():
            code, message = LOST if started or error.sent else NOT_SENT, str(error)
        case CallError():
            code, message = error.code, str(error)
        case _:
            known = client_error(error)
            if known is None:
                return None
            code, message = known
    return str(code)[:MAX_CODE], str(message)[:MAX_MESSAGE]


def decode_fault(element: Any) -> CallError:
    """Give the error that a response's error element stands for; any value is taken, foreign servers send any."""
    if type(element) is not list or len(element) != 2 or not all(type(part) is str for part in element):
        return RemoteError(FOREIGN, (element if type(element) is str else repr(element))[:MAX_MESSAGE])
    code, message = element[0][:MAX_CODE], element[1][:MAX_MESSAGE]
    if code in (LOST, NOT_SENT):
        return Disconnected(message, sent=code == LOST)
    kind = KINDS.get(code)
    return kind(message) if kind is not None else RemoteError(code, message)
