"""What a client raises. Every error has a `code`, which programs read, and a `message`, which people read.

FireflyError
├── ServerError      the server answered with an error; `code` is its own: "bad_request", "too_far", ...
├── RequestTimeout   "timeout": no answer in time; the server may have executed the request all the same
├── Disconnected     "disconnected": the session was lost; `sent` tells whether the request may have been executed
├── Overloaded       "overloaded": too many requests wait here already; this one was not sent
├── Ended            "ended": the client was closed, or sent away for good; `reason` says why
└── BadMessage       "bad_message": what came is not of the wire format
"""

from __future__ import annotations

__all__ = ["BadMessage", "Disconnected", "Ended", "FireflyError", "Overloaded", "RequestTimeout", "ServerError"]


class FireflyError(Exception):
    """The group of all errors of this package; raised only as one of its kinds."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ServerError(FireflyError):
    """The server answered with an error."""


class RequestTimeout(FireflyError):
    """No answer came in time."""

    def __init__(self, message: str) -> None:
        super().__init__("timeout", message)


class Disconnected(FireflyError):
    """The session was lost before the answer came. With `sent` False the request was certainly not executed."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__("disconnected", message)
        self.sent = sent


class Overloaded(FireflyError):
    """Too many requests wait to be sent."""

    def __init__(self, message: str) -> None:
        super().__init__("overloaded", message)


class Ended(FireflyError):
    """The client has ended: `reason` is "closed", or the reason of the server's goodbye."""

    def __init__(self, reason: str) -> None:
        super().__init__("ended", f"the client has ended: {reason}")
        self.reason = reason


class BadMessage(FireflyError):
    """What came from the server is not of the wire format."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_message", message)
