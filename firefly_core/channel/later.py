"""A request that its dispatcher answers after it has returned."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from firefly_core.errors import CommandTimeout

if TYPE_CHECKING:
    from firefly_core.channel.rpc import RpcChannel
    from firefly_core.channel.runners import Receiver

__all__ = ["Later"]


class Later:
    """What a dispatcher returns to answer later: no greenlet waits, and the channel does not count it as running.

    Answer once, by `reply` or `fail`, from any greenlet or the hub; further answers, and answers after the channel was
    lost, are ignored. At its deadline the channel answers `timeout` in its place.
    """

    __slots__ = ("_channel", "_identifier", "expires", "on_cancel", "open")

    def __init__(self, channel: RpcChannel, request_id: int | None, meta: dict[str, Any] | None) -> None:
        self._channel = channel
        self._identifier = request_id
        self.expires = channel.expires(meta)
        """The moment of its deadline, on the kernel's monotonic clock."""
        self.on_cancel: Callable[[], None] | None = None
        """Called in the hub when the caller has given up, or the deadline has passed, before the answer was given."""
        self.open = True
        """Whether an answer is still wanted."""
        if request_id is not None:
            channel.running.put_off(request_id, self)

    def reply(self, result: Any = None) -> None:
        """Answer with a value."""
        if self._end():
            self._channel.respond(self._identifier, None, result)

    def fail(self, error: BaseException, *, started: bool = True) -> None:
        """Answer with an error. `started=False`: nothing was executed, so that a caller may safely try again."""
        if self._end():
            self._channel.respond_error(self._identifier, error, started=started)

    def host(self, receiver: Receiver) -> None:
        """Have `receiver.on_data(b"")` answer, on this runner; only before the dispatcher returns.

        Where it blocks, the receiver is told (`on_blocked`), and the channel goes on with the next request.
        """
        self._channel.host(receiver)

    def cancel(self, why: str) -> None:
        """End it without its handler; called by the channel."""
        if self.open:
            self.fail(CommandTimeout(why))
            if self.on_cancel is not None:
                self.on_cancel()

    def _end(self) -> bool:
        if not self.open:
            return False
        self.open = False
        if self._identifier is not None:
            self._channel.running.by_id.pop(self._identifier, None)
        return not self._channel.closed
