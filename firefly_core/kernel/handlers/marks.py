"""The decorators of a handler module. They only mark: the function stays a plain callable, and nothing is registered.

`firefly_core.kernel.handlers.handlers.collect` reads the marks when a server starts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeVar

import attrs

__all__ = [
    "MARKS",
    "Mark",
    "Policy",
    "Push",
    "command",
    "cron",
    "every",
    "on_connect",
    "on_disconnect",
    "on_login",
    "on_start",
    "on_stop",
    "push",
    "remote",
]

MARKS = "__firefly_marks__"
Policy = Literal["reliable", "latest", "droppable"]
Function = TypeVar("Function", bound=Callable[..., Any])


@attrs.frozen
class Mark:
    """What a decorator said about a function."""

    kind: str
    options: Mapping[str, Any]


@attrs.frozen
class Push:
    """A declared push: `ctx.session.push(this, value)`.

    `policy` says what becomes of it when the client is behind: `reliable` waits, and a client too far behind is closed;
    `latest` replaces an unsent older one with the same key; `droppable` is let go.
    """

    id: int
    type: Any = None
    name: str = ""
    policy: Policy = "reliable"


def push(id: int, type: Any = None, *, name: str = "", policy: Policy = "reliable") -> Push:
    """Declare a push with its id, the type of its body, and its delivery policy."""
    return Push(id, type, name or f"push_{id}", policy)


def _mark(kind: str, **options: Any) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        marks = list(getattr(function, MARKS, ()))
        marks.append(Mark(kind, options))
        setattr(function, MARKS, tuple(marks))
        return function

    return decorate


def command(
    id: int,
    *,
    name: str | None = None,
    public: bool = False,
    rate: str | None = None,
    timeout: float | None = None,
    roles: Collection[str] = (),
    owner: Callable[..., Any] | None = None,
    idempotent: bool = False,
) -> Callable[[Function], Function]:
    """Mark `function(ctx)` or `function(ctx, request)` as the handler of a client's command.

    `id` is the command's number, its name the function's unless given. `public`: allowed before login. `rate`, as in
    `"5/s"`: how often a session may send it; beyond that it is answered `rate_limited`. `timeout`: seconds until it is
    answered `timeout`; by default the service's. `roles`: the player needs one of them in `session.data["roles"]`, else
    he is answered `forbidden`. `owner`: a function of `(ctx, request)` that gives whose the thing is; it must be his
    uid. `idempotent`: running it twice is harmless, so the gate may send it to another node when one dies.
    """
    return _mark(
        "command",
        id=id,
        name=name,
        public=public,
        rate=rate,
        timeout=timeout,
        roles=roles,
        owner=owner,
        idempotent=idempotent,
    )


def remote(
    name: str, *, timeout: float | None = None, idempotent: bool = False, open: bool = False
) -> Callable[[Function], Function]:
    """Mark `function(ctx, *arguments)` as callable by other servers under `name`.

    `timeout`: seconds a caller waits by default. `idempotent`: running it twice is harmless, so a caller may try again
    when the answer was lost. `open`: clients of a root with `open = true` may call it without proving who they are.
    """
    return _mark("remote", name=name, timeout=timeout, idempotent=idempotent, open=open)


def every(seconds: float) -> Callable[[Function], Function]:
    """Mark `function(ctx)` to run every so many seconds; it never overlaps itself, and an error does not end it."""
    return _mark("every", seconds=seconds)


def cron(text: str) -> Callable[[Function], Function]:
    """Mark `function(ctx)` to run by the clock, in five cron fields (`"0 4 * * *"`), in UTC."""
    return _mark("cron", text=text)


def on_start(function: Function) -> Function:
    """Mark `function(ctx)` to run before the server's doors open; what it returns is `ctx.state`."""
    return _mark("on_start")(function)


def on_stop(function: Function) -> Function:
    """Mark `function(ctx)` to run when the server stops, after its doors have closed."""
    return _mark("on_stop")(function)


def on_connect(function: Function) -> Function:
    """Mark `function(ctx)` to run when a session comes to this server, before its first command."""
    return _mark("on_connect")(function)


def on_login(function: Function) -> Function:
    """Mark `function(ctx)` to run when a session here has its uid: after `bind`, or when it comes to a new server."""
    return _mark("on_login")(function)


def on_disconnect(function: Function) -> Function:
    """Mark `function(ctx)` to run once when a session has ended, after its last command."""
    return _mark("on_disconnect")(function)
