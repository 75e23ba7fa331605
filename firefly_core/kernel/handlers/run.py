"""From a body to the answer's body: guards, decode, the handler with the middleware around it, encode."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from firefly_core.kernel.handlers.context import Context
from firefly_core.kernel.handlers.guards import guard_body, guard_request
from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.wire.codec import Codec

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Run", "runner_of"]

Run = Callable[[Context, bytes], Any]
"""Answers a command. Where it gives anything but bytes, the codec has still to encode that: most give bytes."""


def runner_of(kernel: Kernel, handler: Handler, codec: Codec) -> Run:
    """Give the function that answers a command whose bodies are in `codec`; made once, when a server starts."""
    function = guard_request(handler, kernel.callable(handler))
    encode = codec.encode
    if not handler.parameters:

        def run(context: Context, body: bytes) -> bytes:  # noqa: ARG001
            return encode(function(context))

    elif handler.parameters[0] is bytes and codec.passes_bytes:
        # No function around it: that would cost as much as such a handler.
        return guard_body(handler, function, kernel.clock)

    elif handler.parameters[0] is bytes:

        def run(context: Context, body: bytes) -> bytes:
            return encode(function(context, body))

    else:
        decode = codec.decoder(handler.parameters[0])

        def run(context: Context, body: bytes) -> bytes:
            return encode(function(context, decode(body)))

    return guard_body(handler, run, kernel.clock)
