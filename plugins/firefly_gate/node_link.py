"""The gate's side of its nodes: which of them has which session, and what they ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from firefly_core.errors import CallError, Refuse
from firefly_core.kernel.mesh.mesh import NODE_ROLE
from firefly_core.kernel.mesh.peer import Peer
from firefly_core.kernel.mesh.providers import rendezvous
from firefly_core.kernel.parcel import Parcel
from firefly_core.kernel.session import Uid
from firefly_gate.session import GateSession

if TYPE_CHECKING:
    from firefly_gate.commands import Command
    from firefly_gate.gate import Gate

__all__ = ["NodeLink"]

DEPART = 15.0
"""Seconds that a draining node may take for the `@on_disconnect` of one session."""


class NodeLink:
    """What nodes know of this gate's sessions, and the methods that they call."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._boots: dict[str, int] = {}
        self._sessions: Counter[str] = Counter()
        """Sessions that stick to each process."""
        self._policies = gate.config.routes
        self._actions: dict[str, Callable[..., None]] = {
            "unbind": gate.unbind,
            "join": gate.join,
            "leave": gate.leave,
            "route": GateSession.route,
            "kick": GateSession.kick,
        }

    def start(self) -> None:
        """Hear of peers, and answer them."""
        mesh = self._gate.kernel.mesh
        mesh.listeners.append(self._on_change)
        mesh.methods["firefly.push"] = self._on_push
        mesh.session_verbs["members"] = self._on_members
        mesh.session_verbs["data"] = self._on_data
        mesh.session_verbs["bind"] = self._on_bind
        for verb in self._actions:
            mesh.session_verbs[verb] = partial(self._on_action, verb)

    # ---------------------------------------------------------------------------------------------- routing

    def choose(self, session: GateSession, command: Command) -> Peer | None:
        """Give the node that takes a session's command, by the policy of its server; None: nobody takes it now."""
        peers = [peer for peer in command.peers.values() if peer.connected]
        routes = session.routes or {}
        stuck = next((peer for peer in peers if routes.get(peer.server) == peer.name), None)
        if stuck is not None:
            if not stuck.draining:
                return stuck
            # Commands wait until the node that drains has answered the open ones and let the session go.
            if session.open or self._depart(session, stuck):
                return None
            routes = session.routes or {}
        known = [peer for peer in peers if session.seen and peer.name in session.seen and not peer.draining]
        fresh = [peer for peer in peers if peer.takes_new] or known
        if not fresh:
            return None
        policy = self._policies.get(fresh[0].server, "sticky")
        if policy == "least":
            # Another node for each command: each waits until those before it are answered, so the order holds.
            return min(fresh, key=lambda peer: (peer.pending, peer.name))
        peer = self._decide(session, command, fresh, policy)
        session.routes = {**routes, peer.server: peer.name}
        self._sessions[peer.name] += 1
        return peer

    def _decide(self, session: GateSession, command: Command, peers: list[Peer], policy: str) -> Peer:
        by_name = {peer.name: peer for peer in peers}
        kernel, offer = self._gate.kernel, peers[0].commands[command.id]
        chosen = kernel.plugins.hook.firefly_route(kernel=kernel, session=session, command=offer, nodes=list(by_name))
        if chosen in by_name:
            return by_name[chosen]
        if policy == "uid":
            return rendezvous(session.uid if session.uid is not None else session.id, peers)
        return min(peers, key=lambda peer: (self._sessions[peer.name], peer.name))

    # ---------------------------------------------------------------------------------------------- changes

    def closed(self, session: GateSession, reason: str) -> None:
        """Tell the nodes that know a session that it has ended."""
        for name in session.seen or ():
            peer = self._gate.kernel.mesh.peers.get(name)
            if peer is not None:
                peer.notify("firefly.session", "close", session.id, reason)
        for process in (session.routes or {}).values():
            self._sessions[process] -= 1

    def _depart(self, session: GateSession, peer: Peer) -> bool:
        """Take a session away from a node that drains; it is busy until that has let go of it. False: it is gone."""
        self._forget_route(session, peer)
        if session.seen is None or session.seen.pop(peer.name, None) is None:
            return False

        def departed(_error: CallError | None, _result: Any) -> None:
            session.forwarded()

        session.open += 1
        session.barrier = True
        session.target = peer
        try:
            peer.reach().call_later("firefly.depart", (session.id,), departed, timeout=DEPART)
        except CallError:
            session.open -= 1
            session.barrier = False
            return False
        return True

    def _on_change(self, peer: Peer, connected: bool) -> None:
        if NODE_ROLE not in peer.roles:
            return
        if connected and peer.draining:
            for session in list(self._gate.crowd.sessions.values()):
                # Others depart before their next command.
                if not session.open and session.parked is None:
                    self._depart(session, peer)
        if connected and not peer.announced:
            self._greet(peer)
        elif not connected:
            self._forget_routes(peer)
        self._gate.learn()

    def _greet(self, peer: Peer) -> None:
        """Compare notes with a node that has connected: a new process knows nobody, the old one may know too many."""
        known = []
        new = self._boots.get(peer.name) != peer.boot_id
        self._boots[peer.name] = peer.boot_id
        for session in self._gate.crowd.sessions.values():
            if session.seen and peer.name in session.seen:
                if new:
                    del session.seen[peer.name]
                else:
                    # Changes may have been lost with the channel.
                    session.seen[peer.name] = 0
                    known.append(session.id)
        peer.notify("firefly.session", "list", known)

    def _forget_routes(self, peer: Peer) -> None:
        for session in self._gate.crowd.sessions.values():
            self._forget_route(session, peer)
        self._sessions.pop(peer.name, None)

    def _forget_route(self, session: GateSession, peer: Peer) -> None:
        if session.routes and session.routes.get(peer.server) == peer.name:
            session.routes = {k: v for k, v in session.routes.items() if v != peer.name} or None
            self._sessions[peer.name] -= 1

    # --------------------------------------------------------------------------------------- what nodes ask

    def _on_push(self, _peer: Peer, target: dict[str, Any], wire: list[Any]) -> None:
        self._gate.crowd.deliver(target, Parcel.from_wire(wire))

    def _on_members(self, _peer: Peer, group: str) -> list[Uid]:
        return self._gate.crowd.members(group)

    def _on_data(self, peer: Peer, sid: int, values: dict[str, Any]) -> None:
        session = self._gate.crowd.sessions.get(sid)
        if session is not None:
            session.set_data(values, peer.name)

    def _on_bind(self, _peer: Peer, sid: int, uid: Uid) -> int:
        """Log a player in; gives the generation of the login, 0 where the session has ended."""
        session = self._gate.crowd.sessions.get(sid)
        if session is None:
            return 0
        try:
            self._gate.bind(session, uid)
        except ValueError as error:
            raise Refuse("bad_value", str(error)) from error
        return session.generation

    def _on_action(self, verb: str, peer: Peer, sid: int, *arguments: Any) -> bool:
        """Do what a node asks for a session; False: the session has ended."""
        session = self._gate.crowd.sessions.get(sid)
        if session is None:
            return False
        try:
            self._actions[verb](session, *arguments)
        except ValueError as error:
            # Most of these come as notifications, which nobody answers.
            self._gate.kernel.log.warning("cannot %s a session for %s: %s", verb, peer.name, error)
            raise Refuse("bad_value", str(error)) from error
        return True
