"""The service `gate`: clients connect to its doors, their commands run here or go to the nodes that take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import gevent
from gevent import get_hub

from firefly_core.channel.stream import StreamLimits
from firefly_core.channel.transport import Transport
from firefly_core.errors import CommandTimeout, NoSuchMethod, Refuse, RemoteError, client_error
from firefly_core.kernel.config.cluster import Cluster
from firefly_core.kernel.config.roots import has_nodes
from firefly_core.kernel.groups import GATE_ROLE
from firefly_core.kernel.handlers.context import Context, HandlerContext
from firefly_core.kernel.handlers.handlers import HandlerTable
from firefly_core.kernel.kernel import Kernel
from firefly_core.kernel.mesh.peer import Peer
from firefly_core.kernel.parcel import Parcel
from firefly_core.kernel.service import Phase, Service
from firefly_core.kernel.session import Uid, check_uid
from firefly_core.wire.protocol import Request
from firefly_gate.admission import Admission
from firefly_gate.authentication import Authentication
from firefly_gate.client import ClientSession
from firefly_gate.commands import Command
from firefly_gate.config import GateConfig
from firefly_gate.connection import LOOKS, Connection
from firefly_gate.counts import Counts
from firefly_gate.crowd import Crowd
from firefly_gate.door import Door, listen_problems
from firefly_gate.farewells import Farewells
from firefly_gate.logins import Logins
from firefly_gate.node_link import NodeLink
from firefly_gate.resume import Resumption
from firefly_gate.session import GateSession

__all__ = ["Gate"]

ENVELOPE = 1024
"""Bytes that a channel's frame holds beside a client's message."""
TOO_LARGE = "too_large"
"""What a node's channel says of an answer that no frame can hold: the game's fault, not the client's."""
DRAIN_LOOK = 0.02
"""Seconds between two looks at who is done."""
SLICE = 200
"""Clients that are told in one go that the gate closes."""
SWEEPS = 5
"""The heartbeat looks at one fifth of the sessions at a time."""
TOO_FAST = 15.0
"""Seconds' worth of messages by which a client may be ahead of its rate: three times the rate for five seconds."""


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
        self.burst = config.rate.count * 2 if config.rate is not None else float("inf")
        self.doors = [Door(self, listen) for listen in config.listen]
        self.nodes = NodeLink(self)
        self.logins = Logins(self)
        self.resumption = Resumption(self)
        self.authentication = Authentication(self)
        self._number = _gate_number(kernel)
        self._next = 0
        self._farewells = Farewells(kernel)
        self._unflushed: list[GateSession] = []
        self._heartbeat: gevent.Greenlet[[], None] | None = None
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
        self._heartbeat = gevent.spawn(self._run_heartbeat)

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
        if self._heartbeat is not None:
            self._heartbeat.kill()
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
        peers = command.peers
        if len(peers) == 1 and session.routes is None and peers[0].takes_new:
            return peers[0]
        return self.nodes.choose(session, command)

    def explain(self, error: BaseException, request: Request, context: Context | None) -> tuple[str, str]:
        """Give what the client is told of an error; what only we may know is logged with the trace id."""
        told = client_error(error)
        if told is None and isinstance(error, RemoteError) and error.code != TOO_LARGE:
            told = error.code, error.message
        if told is None and isinstance(error, NoSuchMethod):
            # The node has reloaded, and its announcement is on the way.
            told = "unknown_command", f"there is no command {request.command!r}"
        if told is None:
            trace = context.trace if context is not None else self.kernel.new_trace()
            told = "internal", f"something went wrong here, trace {trace}"
            log = context.log if context is not None else self.kernel.log
            log.error("command %r failed, trace=%s", request.command, trace, exc_info=error)
        elif isinstance(error, CommandTimeout) and context is not None:
            context.log.warning("command %r was not done in time", request.command)
        self.counts.errors.add(told[0])
        return told

    def flush_later(self, session: GateSession) -> None:
        """Flush a session once this loop turn's answers are together."""
        if not self._unflushed:
            get_hub().loop.run_callback(self._flush)
        self._unflushed.append(session)

    def _flush(self) -> None:
        sessions, self._unflushed = self._unflushed, []
        for session in sessions:
            session.flush()

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

    # ----------------------------------------------------------------------------------------------- bounds

    def throttle(self, session: Connection) -> None:
        """Read a client slower that has sent more than its rate allows; end one that is far beyond it."""
        rate = self.config.rate
        if rate is None:
            return
        now = self.kernel.clock.monotonic()
        earned = (now - session.refilled) * rate.per_second
        session.allowance = min(self.burst, session.allowance + earned)
        session.refilled = now
        if session.allowance >= 0:
            return
        self.counts.throttled += 1
        if -session.allowance > TOO_FAST * rate.per_second:
            session.say_goodbye("too_fast")
            return
        session.throttled = True
        session.stream.pause_reading()
        self.kernel.deadlines.arm(-session.allowance / rate.per_second, lambda: self._release(session))

    def _release(self, session: Connection) -> None:
        session.throttled = False
        if not session.paused:
            session.resume()

    def _run_heartbeat(self) -> None:
        """Ask silent clients for a sign of life, and end those that stay silent."""
        slot = 0
        while True:
            gevent.sleep(self.config.heartbeat / LOOKS / SWEEPS)
            slot = (slot + 1) % SWEEPS
            for session in self.crowd.slot(slot, SWEEPS):
                session.look(busy=session.open > 0 or session.parked is not None)


def _gate_number(kernel: Kernel) -> int:
    """Give the gate's number in its cluster: its place among all processes of firefly.toml, from 1."""
    return kernel.cluster.process_names().index(kernel.name) + 1
