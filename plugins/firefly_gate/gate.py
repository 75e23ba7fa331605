"""The service `gate`: clients connect to its doors, their commands run here or go to the nodes that take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import gevent

from firefly_core.channel.limits import StreamLimits
from firefly_core.channel.transport import Transport
from firefly_core.errors import Refuse
from firefly_core.kernel.config.cluster import Cluster
from firefly_core.kernel.config.roots import has_nodes
from firefly_core.kernel.groups import GATE_ROLE
from firefly_core.kernel.handlers.context import HandlerContext
from firefly_core.kernel.handlers.handlers import HandlerTable
from firefly_core.kernel.kernel import Kernel
from firefly_core.kernel.mesh.peer import Peer
from firefly_core.kernel.parcel import Parcel
from firefly_core.kernel.service import Phase, Service
from firefly_core.kernel.session import Uid, check_uid
from firefly_gate.admission import Admission
from firefly_gate.authentication import Authentication
from firefly_gate.client import ClientSession
from firefly_gate.commands import Command
from firefly_gate.config import GateConfig
from firefly_gate.counts import Counts
from firefly_gate.crowd import Crowd
from firefly_gate.door import Door, listen_problems
from firefly_gate.explanation import Explanation
from firefly_gate.farewells import Farewells
from firefly_gate.heartbeat import Heartbeat
from firefly_gate.logins import Logins
from firefly_gate.node_link import NodeLink
from firefly_gate.resume import Resumption
from firefly_gate.session import GateSession
from firefly_gate.throttle import Throttle

__all__ = ["Gate"]

ENVELOPE = 1024
"""Bytes that a channel's frame holds beside a client's message."""
DRAIN_LOOK = 0.02
"""Seconds between two looks at who is done."""
SLICE = 200
"""Clients that are told in one go that the gate closes."""


class Gate(Service):
    """The doors of a server and the sessions behind them."""

    name = "gate"
    phase = Phase.DOOR
    Config = GateConfig

    def __init__(self, kernel: Kernel, config: GateConfig) -> None:
        super().__init__(kernel, config)
        self.counts = Counts()
        self.crowd = Crowd()
        self.admission = Admission(
            kernel.clock, most=config.per_address, rate=config.connect_rate, trusted=config.trusted
        )
        self.stream_limits = StreamLimits(max_queue=config.queue, send_timeout=config.send_timeout)
        self.explain = Explanation(kernel, self.counts).explain
        throttle = Throttle(kernel, config.rate, self.counts)
        self.burst, self.throttle = throttle.burst, throttle.slow
        self.doors = [Door(self, listen) for listen in config.listen]
        self.nodes = NodeLink(self)
        self.logins = Logins(self)
        self.resumption = Resumption(self)
        self.authentication = Authentication(self)
        self._number = _gate_number(kernel)
        self._next = 0
        self._farewells = Farewells(kernel)
        self._heartbeat = Heartbeat(self.crowd, config.heartbeat)
        self.closing = False
        """Whether nothing new is taken any more."""
        kernel.mesh.roles.add(GATE_ROLE)
        kernel.groups.outlet = self.crowd

    @classmethod
    def check(cls, server: str, config: GateConfig, cluster: Cluster) -> Iterable[tuple[str, str]]:
        """Find certificates that are missing or cannot be used, and messages that no channel takes to a node."""
        for listen in config.listen:
            for problem in listen_problems(listen):
                yield "listen", problem
        frame = cluster.firefly.channel.frame
        if config.max_frame + ENVELOPE > frame and has_nodes(cluster, server):
            yield "max_frame", f"{config.max_frame} bytes do not fit a frame of [firefly.channel], which has {frame}"

    # ---------------------------------------------------------------------------------------------- service

    def start(self) -> None:
        self.nodes.start()
        self.logins.start()
        self.kernel.on_reload.append(self._prepare)
        self.learn()
        for door in self.doors:
            door.open()
            self.kernel.log.info("clients connect at %s", door.url)
        self._heartbeat.start()

    def drain(self) -> None:
        """Take nothing new; each client is told, and let go once what he has sent is answered."""
        self.closing = True
        for door in self.doors:
            door.close()
        streams = [session.stream for session in self.crowd.sessions.values()]
        for session in list(self.crowd.sessions.values()):
            session.pause()
        while self.crowd.sessions or self._farewells.under_way or any(stream.queued for stream in streams):
            # First the look: what was read a moment ago is accepted, and is on its way to a runner.
            gevent.sleep(DRAIN_LOOK)
            for number, session in enumerate(list(self.crowd.sessions.values())):
                if not session.busy:
                    session.kick("server_stopping")
                if number % SLICE == SLICE - 1:
                    gevent.sleep(0)

    def unfinished(self) -> int:
        return sum(session.unfinished for session in self.crowd.sessions.values())

    def stop(self) -> None:
        self.closing = True
        for door in self.doors:
            door.close()
        self._heartbeat.stop()
        for session in list(self.crowd.sessions.values()):
            session.kick("server_stopping")
        # One turn of the loop: the farewells of sessions that are idle, their `@on_disconnect` included.
        gevent.sleep(0.01 if self._farewells else 0)

    def statistics(self) -> Mapping[str, float]:
        return {
            "sessions": len(self.crowd.sessions),
            "players": len(self.crowd.players),
            "groups": len(self.crowd.groups),
            "login_failures_total": self.authentication.failures,
            "turned_away_total": sum(door.turned_away for door in self.doors),
            "pushes_missed_total": self.crowd.missed,
            **self.counts.figures(),
            "resumed_total": self.resumption.resumed,
            "adopted_total": self.resumption.adopted,
            "resume_refused_total": self.resumption.refused,
            "resume_waiting": self.resumption.waiting,
            "resume_bytes": self.resumption.kept_bytes,
            "parked_bytes": sum(session.held_bytes for session in self.crowd.sessions.values()),
            "unsent_bytes": sum(session.stream.queued for session in self.crowd.sessions.values()),
        }

    def learn(self) -> None:
        """Look anew at which commands this server and its peers take."""
        self._prepare(self.kernel.handlers)()

    def _prepare(self, handlers: HandlerTable) -> Callable[[], None]:
        commits = [door.prepare(handlers) for door in self.doors]

        def commit() -> None:
            for each in commits:
                each()

        return commit

    # --------------------------------------------------------------------------------------------- sessions

    def accept(self, door: Door, transport: Transport) -> None:
        """Take a client in, or tell him that there is no room; called in the hub."""
        self._next += 1
        session = ClientSession(self, door, transport, self._number << 40 | self._next)
        self.crowd.enter(session)
        session.stream.start()
        refusal = self.admission.enter(session.address)
        if self.authentication.locked(session.address):
            refusal = "locked"
        if self.closing or len(self.crowd.sessions) > self.config.max_sessions:
            refusal = "busy"
        if refusal is not None:
            # He is told: somebody who is left in the backlog would wait without knowing why.
            self.counts.refused += 1
            session.kick(refusal)
            return
        self.counts.accepted += 1
        self.kernel.runners.run(self._welcome, session)

    def _welcome(self, session: GateSession) -> None:
        self.kernel.plugins.notify("firefly_session_opened", kernel=self.kernel, session=session)
        self.kernel.run_on("connect", lambda handler: HandlerContext(self.kernel, handler, session))

    def left(self, session: GateSession, reason: str) -> None:
        """Note that a connection has ended; called where it ended."""
        self.counts.closed.add(reason)
        self.admission.leave(session.address)
        self.resumption.forget(session)
        if session.uid is not None:
            self.logins.leave(session, session.uid)
        self.crowd.leave(session)
        self._farewells.begin(session, reason)

    def farewell(self, session: GateSession) -> None:
        """Say goodbye to a session whose last command is done: here and at the nodes, once."""
        reason = self._farewells.take(session)
        if reason is None:
            return
        self.nodes.closed(session, reason)
        try:
            self.kernel.run_on("disconnect", lambda handler: HandlerContext(self.kernel, handler, session))
            self.kernel.plugins.notify("firefly_session_closed", kernel=self.kernel, session=session, reason=reason)
        finally:
            self._farewells.done(session)
            session.let_go()

    def bind(self, session: GateSession, uid: Uid, *, replace: bool = False) -> None:
        """Log a player in, in the whole cluster; an older session of his is kicked, or keeps him out, by config.

        With `replace` it is kicked whatever the configuration says. Returns when its last command and its goodbye are
        over, so that one player's commands never run side by side.

        Raises ValueError for another uid or a bad one, Unavailable, Refuse.
        """
        check_uid(uid)
        if session.uid is not None and session.uid != uid:
            raise ValueError(f"this session is {session.uid!r} already")
        if session.closed or session.uid == uid:
            return
        self.logins.enter(session, uid, replace=replace)
        if session.closed:
            self.logins.leave(session, uid)
            return
        older = self.crowd.players.get(uid)
        self.crowd.bind(session, uid)
        session.bound(uid)
        if older is not None and older is not session:
            older.kick("logged_in_elsewhere")
        leaving = self._farewells.older(uid, session)
        if leaving is not None:
            self._wait_farewell(leaving, session)
        self.kernel.run_on("login", lambda handler: HandlerContext(self.kernel, handler, session))

    def _wait_farewell(self, older: GateSession, session: GateSession) -> None:
        try:
            self._farewells.wait(older)
            if session.closed:
                raise Refuse("logged_in_elsewhere", "this player has logged in elsewhere meanwhile")
        except BaseException:
            self.unbind(session)
            raise

    def unbind(self, session: GateSession) -> None:
        """Log a player out."""
        if session.uid is not None:
            self.logins.leave(session, session.uid)
        self.crowd.unbind(session)
        session.bound(None)

    # --------------------------------------------------------------------------------------------- commands

    def choose(self, session: GateSession, command: Command) -> Peer | None:
        """Give the node that takes this session's command; None: nobody is there just now."""
        peers, routes = command.peers, session.routes
        if routes is not None:
            # Where it sticks already: to look at each of a hundred nodes would cost more than all the rest.
            for name in routes.values():
                peer = peers.get(name)
                if peer is not None and not peer.draining and peer.connected:
                    return peer
        elif len(peers) == 1:
            (peer,) = peers.values()
            if peer.takes_new:
                return peer
        return self.nodes.choose(session, command)

    # ---------------------------------------------------------------------------------------------- pushes

    def push(self, session: GateSession, parcel: Parcel) -> None:
        """Push to one session of this gate."""
        self.crowd.push(session, parcel)

    def join(self, session: GateSession, group: str) -> None:
        """Make a session a member of a group."""
        self.crowd.join(session, group)
        if session.kept is not None:
            self.resumption.changed(session)

    def leave(self, session: GateSession, group: str) -> None:
        """End a membership."""
        self.crowd.drop(session, group)


def _gate_number(kernel: Kernel) -> int:
    """Give the gate's number in its cluster: its place among all processes of firefly.toml, from 1."""
    return kernel.cluster.process_names().index(kernel.name) + 1
