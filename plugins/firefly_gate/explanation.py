"""What a client is told of an error, and what only we may know."""

from __future__ import annotations

from firefly_core.errors import CommandTimeout, NoSuchMethod, RemoteError, client_error
from firefly_core.kernel.handlers.context import Context
from firefly_core.kernel.kernel import Kernel
from firefly_core.wire.protocol import Request
from firefly_gate.counts import Counts

__all__ = ["Explanation"]

TOO_LARGE = "too_large"
"""What a node's channel says of an answer that no frame can hold: the game's fault, not the client's."""


class Explanation:
    """Turns the errors of one gate's commands into codes and messages, and counts the codes."""

    def __init__(self, kernel: Kernel, counts: Counts) -> None:
        self._kernel = kernel
        self._counts = counts

    def explain(self, error: BaseException, request: Request, context: Context | None) -> tuple[str, str]:
        """Give what the client is told of an error; what only we may know is logged with the trace id."""
        told = client_error(error)
        if told is None and isinstance(error, RemoteError) and error.code != TOO_LARGE:
            told = error.code, error.message
        if told is None and isinstance(error, NoSuchMethod):
            # The node has reloaded, and its announcement is on the way.
            told = "unknown_command", f"there is no command {request.command!r}"
        if told is None:
            trace = context.trace if context is not None else self._kernel.new_trace()
            told = "internal", f"something went wrong here, trace {trace}"
            log = context.log if context is not None else self._kernel.log
            log.error("command %r failed, trace=%s", request.command, trace, exc_info=error)
        elif isinstance(error, CommandTimeout) and context is not None:
            context.log.warning("command %r was not done in time", request.command)
        self._counts.errors.add(told[0])
        return told
