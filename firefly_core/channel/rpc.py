"""RPC over one connection, both ways at once: MessagePack-RPC, with a hello, deadlines and bounds between peers.

The path of a request: `Stream` -> a runner -> `Inbound.on_data` -> `Decoder` -> the dispatcher -> `respond` -> `Outbox`
-> `Stream`. The path of a call: `Calls.call` -> `Outbox` -> ... -> `Inbound.on_data` -> `PendingCalls` -> the caller.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from gevent import get_hub

from firefly_core.channel.calls import SMALL, Calls
from firefly_core.channel.deadlines import Deadlines
from firefly_core.channel.greeting import Greeting
from firefly_core.channel.inbound import Inbound
from firefly_core.channel.limits import ChannelLimits, StreamLimits
from firefly_core.channel.liveness import Liveness
from firefly_core.channel.outbox import Outbox
from firefly_core.channel.pending import PendingCalls
from firefly_core.channel.runners import Runners
from firefly_core.channel.running import RunningRequests
from firefly_core.channel.stream import Stream
from firefly_core.channel.transport import Transport
from firefly_core.errors import CallError, ProtocolError, RemoteError
from firefly_core.wire.envelope import REQUEST, RESPONSE, STRANGER, check_breadth, pack_plain, packer, peer_caps
from firefly_core.wire.fault import encode_fault
from firefly_core.wire.hello import Acceptor, Initiator, PeerIdentity

__all__ = ["Dispatch", "RpcChannel"]

CHUNK = 65_536
PING_ID = 2
"""Ids below 16 are the channel's own."""
MAX_DEADLINE = 86_400_000
log = logging.getLogger("firefly.channel")

Dispatch = Callable[["RpcChannel", str, list[Any], dict[str, Any] | None, int | None], Any]
"""Runs a request or notification: `(channel, method, params, meta, request id)`, the id None for a notification.

Called on a runner; may block. Gives the result, or a `Later` that answers when the time has come, or raises. On a
channel whose `peer` is None the other end has not proved who it is: the dispatcher decides what it may call.
"""


class RpcChannel:
    """One connection to a peer. `start()` begins; `on_ready(channel)` tells, on a runner, that calls may go; `on_lost(
    channel, reason)` tells, once and in the hub, that the channel is closed, whoever closed it.

    `hello` is this side's half of the hello; None: plain MessagePack-RPC with somebody who is trusted as he is.
    `strangers`: a client that never says hello may stay; it calls what the dispatcher lets it, and is answered to the
    letter of MessagePack-RPC.
    """

    def __init__(
        self,
        transport: Transport,
        runners: Runners,
        deadlines: Deadlines,
        dispatch: Dispatch,
        *,
        limits: ChannelLimits,
        on_lost: Callable[[RpcChannel, str], None],
        on_ready: Callable[[RpcChannel], None] | None = None,
        hello: Initiator | Acceptor | None = None,
        strangers: bool = False,
        new_trace: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        loop = get_hub().loop
        self.limits = limits
        self.now = deadlines.now
        self.peer: PeerIdentity | None = None
        """Who the other end has proved to be."""
        self.closed = False
        self.reason = ""
        """Why it is closed."""
        self._on_lost = on_lost
        self._on_ready = on_ready
        self._new_trace = new_trace
        self._run_callback = loop.run_callback
        self._pack = packer().pack
        self.running = RunningRequests(loop, self.now)
        self.greeting = Greeting(self, hello, deadlines, required=not strangers)
        self._liveness = Liveness(self, deadlines, self.now)
        stream_limits = StreamLimits(
            # The outbox has the real bound: it gives the stream one batch at a time.
            max_queue=limits.outbox_bytes + limits.frame,
            send_timeout=limits.send_timeout,
            chunk=CHUNK,
            pause_when_queued=False,
        )
        pending = PendingCalls(loop, self.now)
        caps = peer_caps(limits.frame) if hello is None else STRANGER
        self._inbound = Inbound(self, runners, dispatch, pending, caps)
        self.stream = Stream(transport, runners, deadlines, self._inbound, stream_limits)
        self.outbox = Outbox(self.stream, limits, loop.run_callback)
        self._calls = Calls(self.outbox, pending, limits, self.now)
        self._calls.ready = hello is None
        # Bound, not wrapped: that would cost 0.1 us a call.
        self.call = self._calls.call
        self.call_later = self._calls.call_later
        self.give_up = self._calls.give_up
        self.notify = self._calls.notify
        self.host = self._inbound.host
        self._internal_errors = 0

    # ------------------------------------------------------------------------------------------------- for users

    @property
    def authenticated(self) -> bool:
        """Whether the other end has proved who it is."""
        return self.peer is not None

    @property
    def address(self) -> str:
        """The other end's address."""
        return self.stream.address

    @property
    def pending(self) -> int:
        """Calls that wait for their answer."""
        return len(self._calls.pending.table)

    def start(self) -> None:
        """Begin to read, and to say hello."""
        self.greeting.start()
        self._liveness.start()
        self.stream.start()
        if self._calls.ready and self._on_ready is not None:
            self._on_ready(self)

    def close(self, reason: str = "closed") -> None:
        """End at once: every waiting call ends Disconnected, handlers run on to their end."""
        self.stream.close(reason)

    def close_after_flush(self, reason: str = "closed") -> None:
        """End, and let the peer read what was written before."""
        self.outbox.flush()
        self.stream.close_after_flush(reason)

    def statistics(self) -> Mapping[str, int]:
        """Give the current figures; counters end in `_total`."""
        calls, inbound = self._calls, self._inbound
        return {
            "pending_calls": self.pending,
            "running_handlers": self.running.count,
            "outbox_frames": len(self.outbox.frames),
            "outbox_bytes": self.outbox.size + self.stream.queued,
            "calls_total": calls.started,
            "calls_expired_total": calls.expired,
            "notifications_total": calls.notified,
            "overloaded_total": calls.overloaded,
            "stray_answers_total": calls.pending.strays,
            "requests_total": inbound.requests,
            "requests_refused_total": inbound.refused,
            "notifications_dropped_total": inbound.dropped,
            "internal_errors_total": self._internal_errors,
        }

    # ----------------------------------------------------------------------------------- for the channel's own parts

    @property
    def heard(self) -> float:
        """When the last byte came."""
        return self._inbound.heard

    def expires(self, meta: dict[str, Any] | None) -> float:
        """Give the moment when the deadline of what has just arrived passes."""
        milliseconds = None if meta is None else meta.get("deadline")
        if milliseconds is None:
            return self._inbound.heard + self.limits.timeout
        # Not `min`: it would take as long as all the rest of this.
        return self._inbound.heard + (milliseconds if milliseconds < MAX_DEADLINE else MAX_DEADLINE) * 0.001

    def send(self, message: tuple[Any, ...]) -> None:
        """Send a message of the channel's own."""
        if not self.closed:
            self.outbox.add(self._pack(message))

    def ping(self) -> None:
        """Ask the peer for a sign of life; its answer is any byte."""
        if not self.outbox.full:
            self.send((REQUEST, PING_ID, "firefly.ping", ()))

    def respond(self, identifier: int | None, fault: tuple[str, str] | None, result: Any) -> None:
        """Answer a request; what cannot be sent is answered with an error instead."""
        if identifier is None or self.closed:
            return
        outbox = self.outbox
        try:
            pack = pack_plain if result.__class__ is bytes else self._pack
            frame = pack((RESPONSE, identifier, fault, result))
            if len(frame) > SMALL:
                self._check_result(result, frame)
        except CallError as error:
            frame = self._pack((RESPONSE, identifier, encode_fault(error), None))
        except Exception as error:
            self.respond_error(identifier, error)
            return
        outbox.add(frame)

    def respond_error(
        self,
        identifier: int | None,
        error: BaseException,
        *,
        method: str = "",
        meta: dict[str, Any] | None = None,
        started: bool = True,
    ) -> None:
        """Answer a request with an error. What the caller has no business to see is logged here, under a trace id."""
        fault = encode_fault(error, started=started)
        if fault is None:
            self._internal_errors += 1
            trace = meta.get("trace") if meta is not None else None
            trace = trace[:64] if type(trace) is str else self._new_trace()
            log.error("%r of %s failed, trace %s", method, self.address, trace, exc_info=error)
            fault = ("internal", f"internal error, trace {trace}")
        self.respond(identifier, fault, None)

    def fail(self, error: ProtocolError) -> None:
        """Close, because the other end breaks the protocol."""
        # Anybody can make a stranger's connection fail, as often as he likes.
        level = logging.INFO if self.peer is None else logging.WARNING
        log.log(level, "closing the channel of %s: %s: %s", self.address, error.reason, error)
        self.close(error.reason)

    def on_hello(self, peer: PeerIdentity) -> None:
        """Take the other end for who it has proved to be; called by the greeting, on a runner."""
        self.peer = peer
        self._inbound.trust(peer_caps(self.limits.frame))
        self._calls.with_meta = self._calls.ready = True
        self._liveness.start()
        if self._on_ready is not None:
            try:
                self._on_ready(self)
            except Exception:
                log.exception("cannot take %s", peer.name)
                self.close("internal")

    def on_close(self, reason: str) -> None:
        """Note the end of the stream."""
        self.closed = True
        self.reason = reason
        self._inbound.abandon()
        self._liveness.stop()
        self.greeting.stop()
        self._calls.close(reason)
        self._run_callback(self._on_lost, self, reason)

    def _check_result(self, result: Any, frame: bytes) -> None:
        if len(frame) > self.limits.frame:
            raise RemoteError("too_large", f"the result has {len(frame)} bytes, a frame at most {self.limits.frame}")
        if self.outbox.full:
            raise RemoteError(
                "result_dropped", "it was executed; its result is not sent, for this side reads too little"
            )
        check_breadth(result, frame)
