"""The hello of one channel: both sides of `firefly_core.wire.hello`, driven by what arrives."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from firefly_core.channel.deadlines import Deadline, Deadlines
from firefly_core.errors import CallError, NoSuchMethod, ProtocolError, RemoteError
from firefly_core.wire.envelope import REQUEST
from firefly_core.wire.fault import decode_fault
from firefly_core.wire.hello import HELLO, Acceptor, Initiator

if TYPE_CHECKING:
    from firefly_core.channel.rpc import RpcChannel

__all__ = ["Greeting"]

log = logging.getLogger("firefly.channel")


class Greeting:
    """Completes the hello in time, or closes the channel.

    It works where the messages are taken from the decoder, and not in a greenlet of its own: what stands behind the
    last hello in the same segment must already find an authenticated channel.
    """

    __slots__ = ("_channel", "_deadline", "_deadlines", "_required", "_side", "_step", "refusal")

    def __init__(
        self, channel: RpcChannel, side: Initiator | Acceptor | None, deadlines: Deadlines, *, required: bool
    ) -> None:
        self._channel = channel
        self._side = side
        self._deadlines = deadlines
        self._required = required and side is not None
        self._deadline: Deadline | None = None
        self._step = 0
        self.refusal: CallError | None = None
        """Why the peer refused this side, with its code."""

    def start(self) -> None:
        """Begin: the dialer speaks first."""
        if self._required:
            self._deadline = self._deadlines.arm(self._channel.limits.hello_timeout, self._on_late)
        if isinstance(self._side, Initiator):
            self._ask(self._side.opening())

    def stop(self) -> None:
        """Await nothing more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_request(self, identifier: int | None, params: list[Any]) -> None:
        """Answer a hello of the peer."""
        if identifier is None or self._side is None:
            self._channel.respond_error(identifier, NoSuchMethod("no hello is spoken here"))
            return
        if isinstance(self._side, Initiator):
            self._channel.close("bad_hello")
            return
        try:
            result = self._side.answer(params)
        except ProtocolError as error:
            log.warning("refusing the hello of %s: %s: %s", self._channel.address, error.reason, error)
            self._channel.respond_error(identifier, RemoteError(error.reason, str(error)))
            self._channel.close_after_flush(error.reason)
            return
        self._channel.respond(identifier, None, result)
        if self._side.peer is not None:
            self.stop()
            self._channel.on_hello(self._side.peer)

    def on_response(self, message: list[Any]) -> None:
        """Take the answer to a hello of this side, if it is that. Raises ProtocolError for a wrong one."""
        side = self._side
        if not isinstance(side, Initiator) or side.peer is not None or message[1] != self._step:
            return
        if message[2] is not None:
            self.refusal = decode_fault(message[2])
            self._channel.close("refused")
        elif self._step == 0:
            self._step = 1
            self._ask(side.prove(message[3]))
        else:
            self.stop()
            self._channel.on_hello(side.finish(message[3]))

    def _ask(self, params: list[Any]) -> None:
        self._channel.send((REQUEST, self._step, HELLO, params))

    def _on_late(self) -> None:
        self._channel.close("hello_timeout")
