"""The incoming side of a channel: takes messages from the decoder, and runs what they ask for.

Whoever takes messages owns the loop. A runner that blocks in a handler loses it (`on_blocked`): the next runner goes on
with the following message, and the blocked one, when it comes back, only sends its answer.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

from firefly_core.channel.cancels import CancelWindow
from firefly_core.channel.later import Later
from firefly_core.channel.pending import FIRST_ID, PendingCalls
from firefly_core.channel.runners import Receiver, Runners
from firefly_core.errors import DeadlineExceeded, Overloaded, ProtocolError, RemoteError
from firefly_core.wire.envelope import REQUEST, RESPONSE, TAINTED, Caps, Decoder
from firefly_core.wire.hello import HELLO

if TYPE_CHECKING:
    from firefly_core.channel.rpc import Dispatch, RpcChannel

__all__ = ["Inbound"]

log = logging.getLogger("firefly.channel")


class Inbound:
    """The receiver of the channel's stream."""

    __slots__ = (
        "_backlog",
        "_channel",
        "_controls",
        "_current",
        "_decoder",
        "_dispatch",
        "_guest",
        "_limits",
        "_now",
        "_owner",
        "_runners",
        "_running",
        "_take",
        "_unfinished",
        "_window",
        "dropped",
        "heard",
        "refused",
        "requests",
    )

    def __init__(
        self, channel: RpcChannel, runners: Runners, dispatch: Dispatch, pending: PendingCalls, caps: Caps
    ) -> None:
        self._channel = channel
        self._running = channel.running
        self._runners = runners
        self._dispatch = dispatch
        self._take = pending.take
        self._limits = channel.limits
        self._now = now = channel.now
        self._decoder = Decoder(caps)
        self._owner: greenlet | None = None
        self._current: list[Any] | None = None
        self._guest: Receiver | None = None
        """Who runs on the owner's runner just now, and minds for himself what it means to block."""
        self._unfinished = False
        self._backlog: deque[bytes] = deque()
        self._window = CancelWindow(channel.limits.cancels, channel.limits.cancel_window, now)
        self._controls: dict[str, Callable[[int | None, list[Any]], None]] = {
            "firefly.ping": self._on_ping,
            "firefly.cancel": self._on_cancel,
            TAINTED: self._on_tainted,
            HELLO: channel.greeting.on_request,
        }
        self.heard = now()
        """When the last byte came."""
        self.requests = 0
        """Requests for the dispatcher, those that were not let start included."""
        self.refused = 0
        """Requests that were not let start, because too much ran already or this side's answers are not read."""
        self.dropped = 0
        """Notifications that were not run, because too much ran already, or their deadline had passed."""

    def trust(self, caps: Caps) -> None:
        """Take more from now on."""
        self._decoder.trust(caps)

    def abandon(self) -> None:
        """Take no further message."""
        self._owner = None
        self._backlog.clear()

    def host(self, guest: Receiver) -> None:
        """Run `guest` within the request that is being executed; when it blocks, it is told, and counts as its own."""
        self._guest = guest
        try:
            guest.on_data(b"")
        finally:
            if self._guest is guest:
                self._guest = None

    # ------------------------------------------------------------------------------------- called by the runners

    def on_data(self, data: bytes) -> None:
        if self._channel.closed:
            return
        if data:
            self.heard = self._now()
            if self._unfinished:
                # A handler has just blocked, and the runner that goes on with what came before has not had its turn.
                self._backlog.append(data)
                self._channel.stream.pause_reading()
                return
        self._owner = me = getcurrent()
        try:
            if data:
                self._decoder.feed(data)
            while self._take_messages(me) and self._backlog:
                self._decoder.feed(self._backlog.popleft())
        except ProtocolError as error:
            self._channel.fail(error)

    def on_blocked(self, runner: greenlet) -> None:
        message, self._current = self._current, None
        guest, self._guest = self._guest, None
        if guest is not None:
            guest.on_blocked(runner)
        elif message is not None:
            if message[0] == REQUEST:
                _, identifier, method, _, meta = message
            else:
                identifier = None
                _, method, _, meta = message
            counted = method not in self._limits.uncounted
            self._running.park(runner, identifier, self._channel.expires(meta), counted)
        if self._owner is runner:
            self._owner = None
            self._unfinished = True
            self._runners.submit(self, b"")

    def on_close(self, reason: str) -> None:
        self._channel.on_close(reason)

    # --------------------------------------------------------------------------------------------- the messages

    def _take_messages(self, me: greenlet) -> bool:
        """Handle what is complete; False when this runner no longer owns the loop."""
        take = self._take
        for message in self._decoder.messages():
            kind = message[0]
            if kind == RESPONSE:
                if message[1] < FIRST_ID:
                    self._take_own(message)
                else:
                    take(message)
                if self._owner is not me:
                    # A callback has blocked, which it must not.
                    return False
            elif kind == REQUEST:
                if not self._execute(message, me):
                    return False
            elif not self._listen(message, me):
                return False
        if self._owner is not me:
            return False
        if self._unfinished:
            self._unfinished = False
            self._channel.stream.resume_reading()
        return True

    def _take_own(self, message: list[Any]) -> None:
        """Take what answers the channel itself: a hello, or a ping, which has done its duty by coming."""
        if self._channel.peer is None:
            self._channel.greeting.on_response(message)

    def _execute(self, message: list[Any], me: greenlet) -> bool:
        """Run a request and answer it; False when this runner no longer owns the loop."""
        _, identifier, method, params, meta = message
        channel = self._channel
        if method in self._controls:
            self._controls[method](identifier, params)
            return self._owner is me
        self.requests += 1
        running = self._running
        if (running.by_id or running.count or channel.outbox.full) and not self._admit(identifier, method):
            return True
        if meta is not None and self._expired(meta):
            error = DeadlineExceeded("the deadline had passed when the request was read")
            channel.respond_error(identifier, error, started=False)
            return True
        self._current = message
        try:
            result = self._dispatch(channel, method, params, meta, identifier)
        except BaseException as error:
            # All of them: a gevent.Timeout, a GreenletExit or a SystemExit of a handler is this one request's failure.
            mine = self._come_back(me)
            channel.respond_error(identifier, error, method=method, meta=meta)
            return mine
        if self._owner is me:
            self._current = None
            mine = True
        else:
            mine = self._come_back(me)
        if result.__class__ is not Later:
            channel.respond(identifier, None, result)
        return mine

    def _listen(self, message: list[Any], me: greenlet) -> bool:
        """Run a notification; False when this runner no longer owns the loop."""
        _, method, params, meta = message
        if method in self._controls:
            self._controls[method](None, params)
            return self._owner is me
        full = self._running.count >= self._limits.inflight and method not in self._limits.uncounted
        if full or (meta is not None and self._expired(meta)):
            self.dropped += 1
            return True
        self._current = message
        try:
            self._dispatch(self._channel, method, params, meta, None)
        except BaseException as error:
            mine = self._come_back(me)
            self._channel.respond_error(None, error, method=method, meta=meta)
            return mine
        return self._come_back(me)

    def _expired(self, meta: dict[str, Any]) -> bool:
        """Whether the deadline of what has just been read has passed already."""
        milliseconds = meta.get("deadline")
        if type(milliseconds) is int:
            return self.heard + milliseconds * 0.001 <= self._now()
        if milliseconds is not None:
            raise ProtocolError("bad_deadline", "a deadline is a whole number of milliseconds")
        return False

    def _come_back(self, me: greenlet) -> bool:
        """End a handler; False when it blocked, and another runner has the loop now."""
        if self._owner is me:
            self._current = None
            return True
        self._running.leave(me)
        return False

    def _admit(self, identifier: int, method: str) -> bool:
        """Whether a request may start while others run; it is answered where not."""
        running = self._running
        if identifier in running.by_id:
            raise ProtocolError("duplicate_id", "a request has the id of one that is not answered yet")
        if running.count >= self._limits.inflight and method not in self._limits.uncounted:
            error = Overloaded(f"{running.count} handlers run for this channel")
        elif self._channel.outbox.full:
            error = Overloaded("the answers to this channel are not being read")
        else:
            return True
        self.refused += 1
        self._channel.respond_error(identifier, error, started=False)
        return False

    # ---------------------------------------------------------------------------------------- reserved methods

    def _on_ping(self, identifier: int | None, _params: list[Any]) -> None:
        self._channel.respond(identifier, None, None)

    def _on_cancel(self, identifier: int | None, params: list[Any]) -> None:
        if not self._window.take():
            raise ProtocolError("cancel_flood", "too many cancels")
        if len(params) != 1 or type(params[0]) is not int:
            raise ProtocolError("bad_cancel", "a cancel names one request")
        self._running.cancel(params[0], "the caller has given up")
        self._channel.respond(identifier, None, None)

    def _on_tainted(self, identifier: int | None, _params: list[Any]) -> None:
        self._channel.respond_error(identifier, RemoteError("bad_request", "map keys are strings or integers"))
