"""The service `node`: connects to roots, and runs the commands that their gates forward."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import gevent

from firefly_core.channel.deadlines import Deadline
from firefly_core.channel.later import Later
from firefly_core.errors import NoSuchMethod, Overloaded, RemoteError, Unavailable, client_error
from firefly_core.kernel.config.cluster import Cluster
from firefly_core.kernel.config.roots import root_addresses, root_problems
from firefly_core.kernel.handlers.context import Context
from firefly_core.kernel.handlers.handlers import Handler, HandlerTable
from firefly_core.kernel.handlers.run import Run, runner_of
from firefly_core.kernel.kernel import Kernel
from firefly_core.kernel.mesh.mesh import NODE_ROLE
from firefly_core.kernel.mesh.peer import Peer
from firefly_core.kernel.service import Phase, Service
from firefly_core.kernel.session import Uid
from firefly_core.wire.codec import Codec
from firefly_node.config import NodeConfig
from firefly_node.session import NodeSession

__all__ = ["Node"]

LONGEST = 30.0
"""Seconds for which a player's next session is held up by the end of his last one."""

DRAIN_LOOK = 0.02
"""Seconds between two looks whether everything is done."""


class Node(Service):
    """The sessions that play on this server, by gate."""

    name = "node"
    phase = Phase.MESH
    Config = NodeConfig

    def __init__(self, kernel: Kernel, config: NodeConfig) -> None:
        super().__init__(kernel, config)
        self.sessions: dict[str, dict[int, NodeSession]] = {}
        self.players: dict[Uid, NodeSession] = {}
        """The session that each player plays by; it stays until it has said goodbye."""
        self._population = 0
        self.waiting = 0
        """Commands that wait here; those that run are not among them."""
        self.commands = 0
        self.errors = 0
        self._runs: dict[tuple[Handler, str], Run] = {}
        self._leaving: dict[tuple[str, int], NodeSession] = {}
        """Sessions that were still here when this node had drained, by gate and id."""
        self._boots: dict[str, int] = {}
        self._lost: dict[str, Deadline] = {}
        kernel.mesh.roles.add(NODE_ROLE)

    @classmethod
    def check(cls, server: str, config: NodeConfig, cluster: Cluster) -> Iterable[tuple[str, str]]:
        """Find roots that are no roots."""
        return root_problems(server, config.roots, cluster)

    # ---------------------------------------------------------------------------------------------- service

    def start(self) -> None:
        mesh = self.kernel.mesh
        mesh.deferred["firefly.command"] = self._on_command
        mesh.deferred["firefly.depart"] = self._on_depart
        mesh.session_verbs |= {"state": self._on_state, "close": self._on_close, "list": self._on_list}
        mesh.listeners.append(self._on_change)
        self.kernel.on_reload.append(self._prepare)
        for server in self.config.roots:
            for address in root_addresses(self.kernel.cluster, server):
                self.kernel.links.reach(address)

    def drain(self) -> None:
        """Finish what waits; then every session that is still here leaves this server, as its player would."""
        self._finish(self._all())
        self._leaving = {
            (gate, sid): session for gate, known in self.sessions.items() for sid, session in known.items()
        }
        for gate in list(self.sessions):
            self._end_all(gate)
        self._finish(list(self._leaving.values()))

    def unfinished(self) -> int:
        return sum(len(session.queue) for session in self._all())

    def _all(self) -> list[NodeSession]:
        return [session for sessions in self.sessions.values() for session in sessions.values()]

    def _finish(self, sessions: list[NodeSession]) -> None:
        while any(session.queue for session in sessions):
            gevent.sleep(DRAIN_LOOK)

    def stop(self) -> None:
        for lost in self._lost.values():
            lost.cancel()

    def statistics(self) -> Mapping[str, float]:
        return {
            "sessions": sum(len(sessions) for sessions in self.sessions.values()),
            "commands_waiting": self.waiting,
            "commands_total": self.commands,
            "errors_total": self.errors,
        }

    # --------------------------------------------------------------------------------------------- commands

    def run(self, handler: Handler, codec: Codec) -> Run:
        """Give the function that decodes, runs and encodes a command in a codec."""
        key = (handler, codec.name)
        run = self._runs.get(key)
        if run is None:
            run = self._runs[key] = runner_of(self.kernel, handler, codec)
        return run

    def _prepare(self, handlers: HandlerTable) -> Callable[[], None]:
        """Make for new handlers what was made for the old ones."""
        codecs = [self.kernel.plugins.codecs[name] for name in sorted({name for _, name in self._runs})]
        commands = handlers.commands.values()
        runs = {
            (handler, codec.name): runner_of(self.kernel, handler, codec) for codec in codecs for handler in commands
        }

        def commit() -> None:
            self._runs = runs

        return commit

    def _on_command(self, peer: Peer, later: Later, sid: int, command: int, body: bytes, _request_id: Any) -> None:
        session = self.sessions.get(peer.name, {}).get(sid)
        handler = self.kernel.handlers.commands.get(command)
        if handler is None:
            later.fail(NoSuchMethod(f"command {command}"), started=False)
        elif session is None:
            later.fail(Unavailable("this session is not known here"), started=False)
        elif self.waiting >= self.config.max_commands or len(session.queue) >= self.config.queue:
            later.fail(Overloaded("too many commands wait here"), started=False)
        else:
            self.waiting += 1
            self.commands += 1
            session.enqueue(partial(session.command, handler, body, later), later.host)

    def explain(self, error: BaseException, context: Context) -> BaseException:
        """Give the error that travels to the client; what only we may know is logged with the trace id."""
        self.errors += 1
        told = client_error(error)
        if told is None and isinstance(error, RemoteError):
            told = error.code, error.message
        if told is None:
            context.log.error("command %r failed, trace=%s", context.command.name, context.trace, exc_info=error)
            told = "internal", f"something went wrong here, trace {context.trace}"
        return RemoteError(*told)

    # --------------------------------------------------------------------------------------------- sessions

    def _on_state(self, peer: Peer, sid: int, version: int, state: dict[str, Any]) -> None:
        """Take over what a gate says of a session; a new one is greeted before its first command."""
        sessions = self.sessions.setdefault(peer.name, {})
        session = sessions.get(sid)
        if session is None:
            session = sessions[sid] = NodeSession(self, peer, sid)
            self._count(1)
            session.update(version, state)
            session.enqueue(partial(session.moment, "connect"))
            return
        # Behind the commands that wait: they were sent under the state before.
        session.enqueue(partial(session.update, version, state))

    def _on_close(self, peer: Peer, sid: int, _reason: str) -> None:
        session = self.sessions.get(peer.name, {}).pop(sid, None)
        if session is not None:
            self._end(session)

    def _on_depart(self, peer: Peer, later: Later, sid: int) -> None:
        """Let a session go to another node; answered when nothing of it runs here any more."""
        session = self.sessions.get(peer.name, {}).pop(sid, None)
        if session is not None:
            self._end(session)
        else:
            session = self._leaving.get((peer.name, sid))
        if session is None:
            later.reply()
        else:
            session.enqueue(later.reply)

    def admit(self, session: NodeSession, uid: Uid) -> None:
        """Make a session the one that its player plays by; an older one ends, and is waited for by the newer.

        Raises Unavailable for a session whose player has logged in elsewhere since.
        """
        older = self.players.get(uid)
        if older is session:
            return
        if older is not None and older.generation > session.generation:
            raise Unavailable("this player has logged in elsewhere")
        self.players[uid] = session
        if older is not None:
            if older.closed and self.kernel.clock.monotonic() - older.ended > LONGEST:
                self.kernel.log.error("the session %d ended %.0f s ago and still runs a command", older.id, LONGEST)
                return
            session.behind = older
            if not older.closed:
                del self.sessions[older.gate.name][older.id]
                self._end(older)

    def dismiss(self, session: NodeSession, uid: Uid | None) -> None:
        """Note that a player does not play by that session any more."""
        if uid is not None and self.players.get(uid) is session:
            del self.players[uid]

    def _end(self, session: NodeSession) -> None:
        session.closed = True
        session.ended = self.kernel.clock.monotonic()
        self._count(-1)
        if session.timers is not None:
            session.timers.cancel()
        session.enqueue(session.farewell)
        session.enqueue(session.part)

    def _count(self, change: int) -> None:
        """Count sessions, and tell the gates when there is no room for more, or room again."""
        before, self._population = self._population, self._population + change
        full = self._population >= self.config.max_sessions
        if full != (before >= self.config.max_sessions):
            self.kernel.mesh.announce(full=full)

    def _on_list(self, peer: Peer, known: list[int]) -> None:
        """Compare notes with a gate that has come back: sessions that it does not know have ended meanwhile."""
        sessions = self.sessions.get(peer.name, {})
        for sid in set(sessions).difference(known):
            self._end(sessions.pop(sid))

    def _on_change(self, peer: Peer, connected: bool) -> None:
        lost = self._lost.pop(peer.name, None)
        if lost is not None:
            lost.cancel()
        if not connected:
            if self.sessions.get(peer.name):
                keep = self.config.keep_sessions
                self._lost[peer.name] = self.kernel.deadlines.arm(keep, lambda: self._end_all(peer.name))
        elif self._boots.get(peer.name) != peer.boot_id:
            self._boots[peer.name] = peer.boot_id
            self._end_all(peer.name)

    def _end_all(self, gate: str) -> None:
        """End the sessions of a gate that is gone for good."""
        sessions = self.sessions.pop(gate, {})
        for session in sessions.values():
            self._end(session)
