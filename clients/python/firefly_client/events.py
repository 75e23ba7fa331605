"""What a connection tells its driver."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from firefly_client.errors import FireflyError
from firefly_client.wire import Push

__all__ = ["Answered", "Changed", "Dial", "Event", "Failed", "HangUp", "LoginNeeded", "Pushed", "Resumed", "State"]


class State(enum.StrEnum):
    """How a client stands."""

    CONNECTING = "connecting"
    """It dials, resumes or logs in; requests wait."""
    OPEN = "open"
    """Requests are sent at once."""
    WAITING = "waiting"
    """The line was lost; the next attempt comes by itself."""
    ENDED = "ended"
    """It was not started, was closed, or was sent away: nothing happens by itself any more."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect, then call `connected` or `lost`."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Write what there is and close the line; `polite`: with the goodbye of the transport, so that the session ends."""

    polite: bool


@dataclass(frozen=True, slots=True)
class LoginNeeded:
    """Log in by requests of this `attempt`, then call `logged_in` or `login_failed` with it."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A request has its answer."""

    id: int
    body: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """A request has ended without a body."""

    id: int
    error: FireflyError


@dataclass(frozen=True, slots=True)
class Pushed:
    """A push has come."""

    push: Push


@dataclass(frozen=True, slots=True)
class Changed:
    """The state has changed; `reason` says why, where there is a reason. With `error` it was the login's."""

    state: State
    reason: str = ""
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """The session goes on over a new line; with `resync` something was let go meanwhile."""

    resync: bool


Event = Dial | HangUp | LoginNeeded | Answered | Failed | Pushed | Changed | Resumed
