"""A session: one client's connection and, after login, the player's identity.

The gate owns it; a node holds a copy whose changes go back to the gate. Both are a `Session`, so a handler never knows
on which server it runs.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Iterator, MutableMapping
from typing import Any

import msgspec

from firefly_core.channel.deadlines import Deadline, Deadlines
from firefly_core.kernel.handlers.marks import Policy, Push
from firefly_core.wire.codec import Codec

__all__ = ["Session", "SessionData", "SessionTimers", "Uid", "check_reason", "check_route", "check_uid"]

Uid = int | str
MAX_DATA = 4096
MAX_TIMERS = 64
MAX_TEXT = 255
MAX_REASON = 128
MAX_SECONDS = 1e8


def check_uid(uid: object) -> None:
    """Look at a uid; raises ValueError for what is no integer of 64 bits and no text of 1 to 255 characters."""
    if isinstance(uid, int) and not isinstance(uid, bool) and -(2**63) <= uid < 2**63:
        return
    if not _is_text(uid, MAX_TEXT):
        raise ValueError(f"a uid is an integer of 64 bits or a text of 1 to {MAX_TEXT} characters, not {uid!r:.80}")


def check_reason(reason: object) -> None:
    """Look at why a session is kicked; raises ValueError for what is no text of 1 to 128 characters."""
    if not _is_text(reason, MAX_REASON):
        raise ValueError(f"a reason is a text of 1 to {MAX_REASON} characters, not {reason!r:.80}")


def check_route(server: object, process: object) -> None:
    """Look at where a session is to go; raises ValueError for what are no names."""
    if not _is_text(server, MAX_TEXT) or not (process is None or _is_text(process, MAX_TEXT)):
        raise ValueError(f"a route is a server's name and a process's or None, not {server!r:.80} and {process!r:.80}")


def _is_text(value: object, most: int) -> bool:
    """Whether it is a text that can be written as UTF-8: half a surrogate cannot."""
    if not isinstance(value, str) or not 0 < len(value) <= most:
        return False
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


class SessionData(MutableMapping[str, Any]):
    """A small mapping that travels with the session between gate and node: at most 4 KiB as MessagePack."""

    __slots__ = ("_changed", "_values")

    def __init__(self, values: dict[str, Any] | None = None, changed: Callable[[], None] | None = None) -> None:
        self._values = dict(values or {})
        self._changed = changed

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Set a plain value; raises ValueError over 4 KiB, TypeError for what MessagePack cannot hold."""
        values = {**self._values, key: value}
        size = len(msgspec.msgpack.encode(values))
        if size > MAX_DATA:
            raise ValueError(f"session data would be {size} bytes; at most {MAX_DATA} travel with a session")
        self._replace(values)

    def __delitem__(self, key: str) -> None:
        values = dict(self._values)
        del values[key]
        self._replace(values)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"SessionData({self._values!r})"

    def get(self, key: str, default: Any = None) -> Any:
        """Give a value, or the default."""
        # Guards ask for the roles before every command; by way of `MutableMapping` it takes four times as long.
        return self._values.get(key, default)

    def plain(self) -> dict[str, Any]:
        """Give a plain copy."""
        return dict(self._values)

    def release(self) -> None:
        """Tell nobody of changes any more: the session has ended, and must not wait for the garbage collector."""
        self._changed = None

    def _replace(self, values: dict[str, Any]) -> None:
        self._values = values
        if self._changed is not None:
            self._changed()


class SessionTimers:
    """The timers of one session: they end with it. At most 64 wait."""

    __slots__ = ("_armed", "_deadlines")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._armed: list[Deadline] = []

    def arm(self, seconds: float, callback: Callable[[], None]) -> Deadline:
        """Call `callback` in the hub after `seconds`; raises ValueError for too many or no number of seconds."""
        if not 0 <= seconds < MAX_SECONDS:
            raise ValueError(f"{seconds!r} is not a number of seconds to wait")
        self._armed = [deadline for deadline in self._armed if deadline.armed]
        if len(self._armed) >= MAX_TIMERS:
            raise ValueError(f"a session may have {MAX_TIMERS} timers")
        deadline = self._deadlines.arm(seconds, callback)
        self._armed.append(deadline)
        return deadline

    def cancel(self) -> None:
        """Make none of them fire."""
        for deadline in self._armed:
            deadline.cancel()
        self._armed.clear()


class Session(abc.ABC):
    """What a handler sees as `ctx.session`."""

    __slots__ = ()

    id: int
    """64 bit: gate number << 40 | counter. For life, and never sent to clients."""
    uid: Uid | None
    """Who the player is; None before login."""
    codec: Codec
    """How this client's bodies are written."""
    closed: bool
    buckets: dict[int, float] | None
    """The rates of single commands: when each will have earned back what was used of it, by command id."""

    @property
    @abc.abstractmethod
    def address(self) -> str:
        """Where the client is, as `host:port`."""

    @property
    @abc.abstractmethod
    def protocol(self) -> str:
        """The name of the client's wire format."""

    @property
    @abc.abstractmethod
    def data(self) -> SessionData:
        """What travels with the session between gate and node."""

    @abc.abstractmethod
    def bind(self, uid: Uid) -> None:
        """Log the player in as `uid`; may block. An older session of that uid is kicked.

        Raises Unavailable while nobody can say who is logged in, ValueError when this session has another uid, or for
        what is no integer of 64 bits and no text of 1 to 255 characters.
        """

    @abc.abstractmethod
    def unbind(self) -> None:
        """Log the player out; the connection stays."""

    @abc.abstractmethod
    def push(self, push: Push | int, value: Any = None, *, policy: Policy | None = None, key: Hashable = None) -> None:
        """Send something unasked; never blocks. To a session that has ended it is a counted drop."""

    @abc.abstractmethod
    def kick(self, reason: str) -> None:
        """Tell the client why, in a text of 1 to 128 characters (else ValueError), and close its connection."""

    @abc.abstractmethod
    def after(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> Deadline:
        """Call `function(ctx, *arguments)` after so many seconds, between this session's commands, as long as it lives.

        Give what `cancel()` may be called on. Raises ValueError for more than 64 timers of one session.
        """

    @abc.abstractmethod
    def join(self, group: str) -> None:
        """Become a member of a group; `ctx.group(name).join(session)` calls this."""

    @abc.abstractmethod
    def leave(self, group: str) -> None:
        """Be a member no more; harmless when it is none."""

    @abc.abstractmethod
    def route(self, server: str, process: str | None) -> None:
        """Send commands for `server` to its `process` (`"world-2"`) from now on; None: as Firefly decides."""
