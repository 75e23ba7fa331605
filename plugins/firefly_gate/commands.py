"""What a command id leads to: a handler of this server, or the servers that take it. One table a codec."""

from __future__ import annotations

from firefly_core.kernel.handlers.handlers import Handler, HandlerTable
from firefly_core.kernel.handlers.run import Run, runner_of
from firefly_core.kernel.kernel import Kernel
from firefly_core.kernel.mesh.mesh import NODE_ROLE
from firefly_core.kernel.mesh.peer import Peer
from firefly_core.wire.codec import Codec

__all__ = ["UNKNOWN", "Command", "command_table"]


class Command:
    """One command as a listener sees it: with a `handler` and its `run`, or forwarded to one of `peers`."""

    __slots__ = ("handler", "id", "idempotent", "name", "peers", "public", "run", "timeout")
    handler: Handler

    def __init__(self, id: int, name: str, public: bool, timeout: float) -> None:
        self.id = id
        self.name = name
        self.public = public
        self.timeout = timeout
        self.idempotent = False
        self.run: Run | None = None
        self.peers: dict[str, Peer] = {}
        """Who takes it, by the process's name."""


UNKNOWN = Command(-1, "", True, 0.0)
"""What a client means by an id or a name that leads nowhere."""


def command_table(kernel: Kernel, handlers: HandlerTable, codec: Codec, timeout: float) -> dict[int | str, Command]:
    """Give every command that `handlers` or a connected server take, by id and by name; `handlers` come first."""
    table: dict[int | str, Command] = {}
    for peer in kernel.mesh.peers.values():
        if NODE_ROLE not in peer.roles:
            continue
        for offer in peer.commands.values():
            command = table.get(offer.id)
            if command is None:
                command = Command(offer.id, offer.name, offer.public, offer.timeout or timeout)
                command.idempotent = offer.idempotent
                table[offer.id] = table[offer.name] = command
            command.peers[peer.name] = peer
    for handler in handlers.commands.values():
        command = Command(handler.id, handler.name, handler.public, handler.timeout or timeout)
        command.handler = handler
        command.run = runner_of(kernel, handler, codec)
        table[handler.id] = table[handler.name] = command
    return table
