"""Guards: what stands on a decorator and is asked before a command's handler runs. Resolved when a server starts.

    rate     how often a session may send it: `rate_limited`
    roles    which roles the player needs one of, in `session.data["roles"]`: `forbidden`
    owner    whose the thing is that the request is about; it must be the player's: `forbidden`

A command without guards costs nothing here; one with guards that pass costs well under a microsecond.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from firefly_core.channel.clock import Clock
from firefly_core.errors import Refuse
from firefly_core.kernel.config.rate import Rate
from firefly_core.kernel.handlers.context import Context
from firefly_core.kernel.handlers.handlers import Handler

if TYPE_CHECKING:
    from firefly_core.kernel.handlers.run import Run

__all__ = ["ROLES", "guard_body", "guard_request"]

ROLES = "roles"
"""The key of `session.data` that holds the player's roles, as a list."""
NOT_YOURS = "that is not yours"
ROUNDING = 1e-9


def guard_body(handler: Handler, run: Run, clock: Clock) -> Run:
    """Put the guards that need no request before `run`."""
    if handler.roles:
        run = _needs_role(frozenset(handler.roles), run)
    if handler.rate is not None:
        run = _limits(handler.id, handler.rate, run, clock)
    return run


def guard_request(handler: Handler, function: Callable[..., Any]) -> Callable[..., Any]:
    """Put the guards that need the decoded request before the handler's function."""
    owner = handler.owner
    if owner is None:
        return function

    if not handler.parameters:

        def guarded(context: Context) -> Any:
            uid = context.session.uid  # type: ignore[union-attr]  # commands have one
            if uid is None or owner(context) != uid:
                raise Refuse("forbidden", NOT_YOURS)
            return function(context)

        return guarded

    def guarded_request(context: Context, request: Any) -> Any:
        uid = context.session.uid  # type: ignore[union-attr]
        if uid is None or owner(context, request) != uid:
            raise Refuse("forbidden", NOT_YOURS)
        return function(context, request)

    return guarded_request


def _needs_role(roles: frozenset[str], run: Run) -> Run:
    none_of = roles.isdisjoint

    def guarded(context: Context, body: bytes) -> Any:
        session = context.session
        if session is None or none_of(session.data.get(ROLES, ())):
            raise Refuse("forbidden", f"this needs the role {' or '.join(sorted(roles))}")
        return run(context, body)

    return guarded


def _limits(command: int, rate: Rate, run: Run, clock: Clock) -> Run:
    # A bucket is one number, the time at which it will be full again: each command moves it by what one costs, and it
    # may be ahead of the clock by all that fits in but one.
    cost = 1 / rate.per_second
    ahead = (max(1.0, rate.count) - 1) * cost + ROUNDING
    monotonic = clock.monotonic

    def guarded(context: Context, body: bytes) -> Any:
        buckets = context.session.buckets  # type: ignore[union-attr]  # commands have one
        now = monotonic()
        if buckets is None:
            context.session.buckets = {command: now + cost}  # type: ignore[union-attr]
            return run(context, body)
        full = buckets.get(command, now)
        if full <= now:
            buckets[command] = now + cost
        elif full - now <= ahead:
            buckets[command] = full + cost
        else:
            raise Refuse("rate_limited", f"not more often than {rate.count:g} in {rate.seconds:g} s")
        return run(context, body)

    return guarded
