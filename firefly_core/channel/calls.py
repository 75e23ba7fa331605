"""The outgoing side of a channel: calls that wait, calls with a callback, notifications."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent import get_hub
from gevent.exceptions import BlockingSwitchOutError
from greenlet import getcurrent, greenlet

from firefly_core.channel.cancels import CancelWindow
from firefly_core.channel.outbox import Outbox
from firefly_core.channel.pending import FIRST_ID, PendingCalls
from firefly_core.errors import CallError, DeadlineExceeded, Disconnected, NoSuchMethod, Overloaded
from firefly_core.wire.envelope import MAX_ID, MAX_METHOD, NOTIFY, REQUEST, check_breadth, pack_plain, packer

if TYPE_CHECKING:
    from firefly_core.channel.limits import ChannelLimits

__all__ = ["Calls"]

MAX_TIMEOUT = 86_400.0
CANCEL = "firefly.cancel"
SMALL = 256
"""Bytes of a frame that needs no check."""


class Calls:
    """Sends requests and notifications within the channel's bounds, and wakes who waits."""

    __slots__ = (
        "_deadline",
        "_hub",
        "_last_id",
        "_limits",
        "_most",
        "_now",
        "_outbox",
        "_pack",
        "_timeout",
        "_to_hub",
        "_window",
        "closed",
        "expired",
        "notified",
        "overloaded",
        "pending",
        "ready",
        "started",
        "with_meta",
    )

    def __init__(self, outbox: Outbox, pending: PendingCalls, limits: ChannelLimits, now: Callable[[], float]) -> None:
        self._hub = get_hub()
        # gevent's Hub.switch checks for misuse that `call` rules out itself; the plain switch is 0.4 us cheaper.
        self._to_hub = greenlet.switch.__get__(self._hub)
        self._outbox = outbox
        self._limits = limits
        self._most = limits.pending
        self._now = now
        self._pack = packer().pack
        self._last_id = FIRST_ID
        # The extra map of the last call: most calls have the timeout of the one before.
        self._timeout = math.nan
        self._deadline: dict[str, int] = {}
        # Half of what the peer bears: the deadline, which it knows too, does the rest.
        self._window = CancelWindow(limits.cancels // 2, limits.cancel_window, now)
        self.pending = pending
        pending.on_expired = self._on_expired
        self.ready = False
        """Whether the peer takes calls: the hello is complete, where there is one, and the channel is not closed."""
        self.closed = "no hello yet"
        """Why it does not."""
        self.with_meta = False
        """Whether the peer understands the extra map."""
        self.started = self.notified = self.overloaded = self.expired = 0

    def call(self, method: str, *params: Any, timeout: float | None = None, meta: dict[str, Any] | None = None) -> Any:
        """Call a method of the peer and wait for its result; blocks this greenlet for at most `timeout` seconds.

        Raises RemoteError, DeadlineExceeded, Disconnected, Overloaded, NoSuchMethod, NotAuthorized; TypeError or
        ValueError for params that have no form in MessagePack. The request is executed at most once.
        """
        current = getcurrent()
        if current is self._hub:
            raise BlockingSwitchOutError("a call would block the hub; use call_later")
        identifier = self.call_later(method, params, current.switch, timeout=timeout, meta=meta, in_hub=True)
        try:
            error, result = self._to_hub()
        except BaseException:
            self.give_up(identifier)
            raise
        if error is None:
            return result
        raise error

    def call_later(
        self,
        method: str,
        params: tuple[Any, ...] | list[Any],
        callback: Callable[[CallError | None, Any], None],
        *,
        timeout: float | None = None,
        meta: dict[str, Any] | None = None,
        in_hub: bool = False,
        plain: bool = False,
    ) -> int:
        """Call a method of the peer; `callback(error, result)` hears, once, how it ended.

        Gives the call's id, for `give_up`. Blocks nobody and needs no greenlet. The callback must neither block nor
        raise; it hears an answer where it is read, or with `in_hub` only ever in the hub. `plain` says that the params
        are made of None, numbers, str and bytes: they are packed in half the time.

        Raises what `call` raises before anything is sent; the callback is not called then.
        """
        if not self.ready:
            raise Disconnected(self.closed, sent=False)
        outbox, pending = self._outbox, self.pending
        table = pending.table
        if outbox.full or len(table) >= self._most:
            self.overloaded += 1
            raise Overloaded("the peer is behind: too much waits for it")
        if timeout != self._timeout:
            timeout = self._other_timeout(timeout)
        self._last_id = identifier = self._last_id + 1
        if identifier > MAX_ID or identifier in table:
            identifier = self._free_id(identifier)
        pack = pack_plain if plain else self._pack
        if self.with_meta:
            extra = self._deadline if meta is None else {**meta, **self._deadline}
            frame = pack((REQUEST, identifier, method, params, extra))
        else:
            frame = pack((REQUEST, identifier, method, params))
        if len(frame) > SMALL:
            self._check(method, params, frame)
        expires = self._now() + timeout
        table[identifier] = (callback, expires, outbox.first + len(outbox.frames), in_hub)
        if expires < pending.alarm.at:
            pending.alarm.set(expires)
        outbox.add(frame)
        self.started += 1
        return identifier

    def notify(self, method: str, *params: Any, meta: dict[str, Any] | None = None) -> bool:
        """Tell the peer something; False when it was not sent, because the channel is closed or the peer is behind.

        Raises Overloaded for a frame over the limit, and TypeError or ValueError as `call` does.
        """
        if not self.ready or self._outbox.full:
            self.overloaded += self.ready
            return False
        if meta is None or not self.with_meta:
            frame = self._pack((NOTIFY, method, params))
        else:
            frame = self._pack((NOTIFY, method, params, meta))
        if len(frame) > SMALL:
            self._check(method, params, frame)
        self._outbox.add(frame)
        self.notified += 1
        return True

    def give_up(self, identifier: int) -> None:
        """Forget a call: take its request back, or tell the peer that nobody waits any more.

        Nobody is woken, no callback is called. Harmless when the call has ended.
        """
        call = self.pending.table.pop(identifier, None)
        if call is not None:
            self._cancel(identifier, call[2])

    def close(self, reason: str) -> None:
        """End every call, in the hub."""
        self.ready = False
        self.closed = reason
        self._hub.loop.run_callback(self.pending.fail, reason, self._outbox.first)

    def _check(self, method: str, params: Any, frame: bytes) -> None:
        """Refuse what the peer would close the channel for."""
        if len(frame) > self._limits.frame:
            raise Overloaded(f"{method[:MAX_METHOD]} has {len(frame)} bytes, a frame at most {self._limits.frame}")
        if len(method) > MAX_METHOD:
            raise NoSuchMethod(f"a method's name has at most {MAX_METHOD} characters")
        check_breadth(params, frame)

    def _free_id(self, identifier: int) -> int:
        """Begin again after the last id, and pass over those in use."""
        while identifier > MAX_ID or identifier in self.pending.table:
            identifier = identifier + 1 if identifier < MAX_ID else FIRST_ID
        self._last_id = identifier
        return identifier

    def _other_timeout(self, timeout: float | None) -> float:
        """Look at a timeout that is not that of the call before."""
        if timeout is None:
            timeout = self._limits.timeout
        elif math.isnan(timeout):
            raise ValueError("a timeout is a number of seconds, not NaN")
        elif timeout <= 0:
            raise DeadlineExceeded("the deadline had passed before the call")
        if timeout != self._timeout:
            self._timeout = timeout = min(timeout, MAX_TIMEOUT)
            self._deadline = {"deadline": int(timeout * 1000) or 1}
        return timeout

    def _on_expired(self, identifier: int, position: int) -> None:
        self.expired += 1
        self._cancel(identifier, position)

    def _cancel(self, identifier: int, position: int) -> None:
        if self.ready and not self._outbox.withdraw(position) and self.with_meta and self._window.take():
            self._outbox.add(self._pack((NOTIFY, CANCEL, (identifier,))))
