"""Every error that Firefly raises, and the statuses that `firefly-run` exits with.

FireflyError
├── ConfigurationError      firefly.toml, a plugin or a handler module is wrong: nothing was started (exit 78)
├── Refuse                  a handler says no to its client: code and message reach the client as they are
├── ProtocolError           bytes that are not of the protocol: the connection ends, the reason is counted
├── PayloadError            a body that does not fit its type: answered `bad_request`, with the path to the fault
├── CallError               the ways in which a call between servers ends without a value
│   ├── RemoteError         the handler over there raised or refused: code and message
│   ├── DeadlineExceeded    no answer in time
│   ├── Disconnected        the channel was lost; `sent` says whether the request may have been executed
│   ├── Overloaded          a bound was reached: here (outbox) or there (requests in flight, journal)
│   ├── NoSuchMethod        nobody provides that method
│   └── NotAuthorized       this peer may not call that
├── Unavailable             who could answer a command is away just now
└── StorageError            the db-cache
    ├── Conflict            the row moved since it was read
    ├── NotFound            there is no such row
    └── StorageUnavailable  the database cannot be reached

CommandTimeout (BaseException)   thrown into a handler whose deadline has passed
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Self

__all__ = [
    "CallError",
    "CommandTimeout",
    "ConfigurationError",
    "Conflict",
    "DeadlineExceeded",
    "Disconnected",
    "ExitStatus",
    "FireflyError",
    "NoSuchMethod",
    "NotAuthorized",
    "NotFound",
    "Overloaded",
    "PayloadError",
    "ProtocolError",
    "Refuse",
    "RemoteError",
    "StorageError",
    "StorageUnavailable",
    "Unavailable",
    "client_error",
]


class ExitStatus(enum.IntEnum):
    """What `firefly-run` and its servers exit with; 70 and 78 are EX_SOFTWARE and EX_CONFIG of sysexits.h."""

    STOPPED = 0
    GAVE_UP = 70
    CONFIGURATION = 78


class FireflyError(Exception):
    """The root of the tree. Nobody raises it bare."""


class ConfigurationError(FireflyError):
    """What the user declared cannot be started; `problems` holds every problem found, one text each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Refuse(FireflyError):
    """A handler refuses a command: the client gets `{code, message}` as given here."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message or code.replace("_", " ")

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ProtocolError(FireflyError):
    """The peer sent bytes that the protocol does not allow.

    `reason` is a short stable word (`bad_magic`, `too_long`, ...) under which the closed connection is counted.
    """

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason.replace("_", " "))
        self.reason = reason

    def forget(self) -> Self:
        """Let go the frames that it passed through, which hold what had arrived; gives itself.

        Whoever keeps such an error must: else they are a circle that waits for the garbage collector.
        """
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self


class PayloadError(FireflyError):
    """A body does not fit what the handler declared; the message names the path, as in `$.x`."""


class CallError(FireflyError):
    """A call to another server ended without a value. `code` is the stable word that a client would see."""

    code = "internal"


class RemoteError(CallError):
    """The remote handler raised or refused; `code` and `message` come from over there."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class DeadlineExceeded(CallError):
    """No answer came in time. Whether the request was executed is unknown, unless it never left."""

    code = "timeout"


class Disconnected(CallError):
    """The channel was lost. `sent=False`: certainly not executed; `sent=True`: unknown."""

    code = "unavailable"

    def __init__(self, message: str = "not connected", *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Overloaded(CallError):
    """A bound was reached, and nothing was started."""

    code = "overloaded"


class NoSuchMethod(CallError):
    """No reachable server provides that method."""

    code = "no_such_method"


class NotAuthorized(CallError):
    """The peer did not prove who it is, or may not call that method."""

    code = "not_authorized"


class Unavailable(FireflyError):
    """Who could answer this command is away just now; nothing was executed."""


class StorageError(FireflyError):
    """What the db-cache cannot do."""


class Conflict(StorageError):
    """The row was changed by somebody else since it was read."""


class NotFound(StorageError):
    """There is no such row."""


class StorageUnavailable(StorageError):
    """The database does not answer, and the row is not in the cache."""


class CommandTimeout(BaseException):
    """Thrown into a handler at its deadline; a BaseException, so that `except Exception` does not swallow it."""


def client_error(error: BaseException) -> tuple[str, str] | None:
    """Give the `(code, message)` that a client may see for `error`, or None where it must see `internal` only."""
    match error:
        case Refuse():
            return error.code, error.message
        case PayloadError():
            return "bad_request", str(error)
        case CommandTimeout() | DeadlineExceeded():
            return "timeout", "not done in time"
        case Unavailable() | Disconnected() | StorageUnavailable():
            return "unavailable", str(error)
        case Overloaded():
            return "overloaded", "too much to do just now"
        case Conflict():
            return "conflict", "changed by somebody else meanwhile"
    return None
