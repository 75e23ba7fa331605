"""A forwarded command: it costs the gate no greenlet; the answer's callback writes to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from firefly_core.errors import CallError, Disconnected, Unavailable
from firefly_core.kernel.mesh.peer import Peer
from firefly_core.wire.protocol import Request

if TYPE_CHECKING:
    from firefly_gate.client import ClientSession
    from firefly_gate.commands import Command

__all__ = ["Forward"]

ATTEMPTS = 3


class Forward(msgspec.Struct, eq=False):
    """One command on its way to a node and back."""

    session: ClientSession
    request: Request
    command: Command
    peer: Peer | None = None
    tries: int = 0

    def send(self, peer: Peer) -> None:
        """Tell the node what it does not know of the session yet, then send the command."""
        session = self.session
        seen = session.seen
        if seen is None:
            seen = session.seen = {}
        self.peer = peer
        self.tries += 1
        request = self.request
        params = (session.id, self.command.id, request.body, request.request_id)
        session.open += 1
        try:
            if seen.get(peer.name) != session.version:
                if not peer.notify("firefly.session", "state", session.id, session.version, session.state(peer.name)):
                    raise Unavailable(f"{peer.name} cannot be told of this session just now")
                seen[peer.name] = session.version
            peer.call_later("firefly.command", params, self._answered, timeout=self.command.timeout)
        except Exception as error:
            # Whatever it is, the client is told: this may be the hub, where nobody would catch it.
            session.open -= 1
            session.fail(request, error)

    def _answered(self, error: CallError | None, body: Any) -> None:
        session = self.session
        if error is not None and isinstance(error, Disconnected) and self._send_elsewhere(error):
            return
        if not session.closed:
            if error is not None:
                session.fail(self.request, error)
            else:
                session.reply(self.request, body)
        session.forwarded()

    def _send_elsewhere(self, error: Disconnected) -> bool:
        """Send the command to another node, where it was surely not executed, or may be executed twice."""
        if (error.sent and not self.command.idempotent) or self.tries >= ATTEMPTS:
            return False
        session = self.session
        other = session.gate.choose(session, session.door.commands.get(self.command.id, self.command))
        # Those that wait behind it are still to be answered by the lost one: order is worth more than this command.
        if other is None or other is self.peer or session.open > 1:
            return False
        session.open -= 1
        session.target = other
        self.send(other)
        return True
