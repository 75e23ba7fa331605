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


class Forward(msgspec.Struct, frozen=True, eq=False):
    """One attempt at having a command answered by a node."""

    session: ClientSession
    request: Request
    command: Command
    peer: Peer
    attempt: int = 1

    def send(self) -> None:
        """Tell the node what it does not know of the session yet, then send the command."""
        session, request, peer = self.session, self.request, self.peer
        session.open += 1
        try:
            seen = session.seen
            if seen is None or seen.get(peer.name) != session.version:
                self._introduce()
            peer.reach().call_later(
                "firefly.command",
                (session.id, self.command.id, request.body, request.request_id),
                self._answered,
                timeout=self.command.timeout,
                plain=True,
            )
        except Exception as error:
            # Whatever it is, the client is told: this may be the hub, where nobody would catch it.
            session.open -= 1
            session.fail(request, error)

    def _introduce(self) -> None:
        session, peer = self.session, self.peer
        if session.seen is None:
            session.seen = {}
        if not peer.notify("firefly.session", "state", session.id, session.version, session.state(peer.name)):
            raise Unavailable(f"{peer.name} cannot be told of this session just now")
        session.seen[peer.name] = session.version

    def _answered(self, error: CallError | None, body: Any) -> None:
        session = self.session
        if error is None:
            if not session.closed:
                session.reply(self.request, body)
        elif isinstance(error, Disconnected) and self._send_elsewhere(error):
            return
        elif not session.closed:
            session.fail(self.request, error)
        session.forwarded()

    def _send_elsewhere(self, error: Disconnected) -> bool:
        """Send the command to another node, where it was surely not executed, or may be executed twice."""
        if (error.sent and not self.command.idempotent) or self.attempt >= ATTEMPTS:
            return False
        session = self.session
        other = session.gate.choose(session, session.door.commands.get(self.command.id, self.command))
        # Those that wait behind it are still to be answered by the lost one: order is worth more than this command.
        if other is None or other is self.peer or session.open > 1:
            return False
        session.open -= 1
        session.target = other
        Forward(session, self.request, self.command, other, self.attempt + 1).send()
        return True
