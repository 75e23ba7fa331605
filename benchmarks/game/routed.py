"""The handlers that are measured at a node behind a gate."""

from firefly_core import command


@command(101)
def routed_echo(ctx, body: bytes) -> bytes:
    return body
