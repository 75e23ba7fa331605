"""A session as its gate has it: who the player is, what travels with him, and what handlers may ask of him."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any

from firefly_core.channel.deadlines import Deadline
from firefly_core.channel.stream import NOBODY
from firefly_core.channel.transport import Transport
from firefly_core.kernel.handlers.context import HandlerContext
from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.handlers.marks import Policy, Push
from firefly_core.kernel.parcel import Parcel
from firefly_core.kernel.session import Session, SessionData, SessionTimers, Uid, check_reason, check_route
from firefly_gate.connection import Connection

if TYPE_CHECKING:
    from firefly_core.wire.codec import Codec
    from firefly_gate.door import Door
    from firefly_gate.gate import Gate
    from firefly_gate.kept import Kept

__all__ = ["GateSession"]


class GateSession(Session, Connection):
    """The part of a session that is the same whether its commands run here or elsewhere."""

    target: Any
    """Where the open commands are."""

    __slots__ = (
        "_data",
        "barrier",
        "buckets",
        "closed",
        "data_from",
        "generation",
        "groups",
        "id",
        "jobs",
        "kept",
        "open",
        "routes",
        "seen",
        "timers",
        "uid",
        "version",
    )

    def __init__(self, gate: Gate, door: Door, transport: Transport, sid: int) -> None:
        super().__init__(gate, door, transport)
        self.id = sid
        self.uid: Uid | None = None
        self.closed = False
        self.buckets: dict[int, float] | None = None
        self.open = 0
        """Forwarded commands that are not answered yet."""
        self.barrier = False
        """Whether the next command waits until all open ones are answered."""
        self.generation = 0
        """Counts the logins of the cluster: of two of one player the higher stays."""
        self.version = 1
        """Counts the changes that nodes must hear of."""
        self.seen: dict[str, int] | None = None
        """Which version each node has seen, by process name."""
        self.routes: dict[str, str] | None = None
        """The process that takes this session's commands, by server."""
        self.data_from: str | None = None
        """The process that changed `data` last; None: this gate."""
        self.groups: tuple[str, ...] = ()
        """A tuple, because most sessions are in one group or two: a set takes four times as much."""
        self.kept: Kept | None = None
        """What is kept for a client that asked to be able to resume."""
        self.timers: SessionTimers | None = None
        self.jobs: list[Callable[[], None]] | None = None
        """What is due by a timer and waits until no command runs."""
        self._data: SessionData | None = None

    def deliver(self, plain: bytes, frame: bytes, policy: Policy, key: Hashable) -> None:
        """Send a push by its policy; never blocks. `plain` is it without the WebSocket's framing, `frame` with it."""
        if self.answers:
            self.flush()
        if policy == "reliable":
            if self.kept is not None:
                self.kept.seq += 1
                frame = self.wire.number(plain, self.kept.seq)
                self.kept.push(frame)
                self.write_frame(frame)
                return
            sent = self.stream.write(frame)
        elif policy == "droppable":
            sent = self.stream.write_droppable(frame)
        else:
            sent = self.stream.write_latest(frame, key)
        if not sent:
            self.gate.counts.dropped += 1

    @property
    def unfinished(self) -> int:
        """How many of its commands are accepted and not answered."""
        raise NotImplementedError

    @property
    def held_bytes(self) -> int:
        """Bytes of commands that wait behind the one that runs."""
        raise NotImplementedError

    @property
    def busy(self) -> bool:
        """Whether anything of it is still to be done."""
        return self.unfinished > 0 or bool(self.jobs)

    def forwarded(self) -> None:
        """Note that a node has answered."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------ as handlers see it

    @property
    def address(self) -> str:
        return self.stream.address

    @property
    def protocol(self) -> str:
        return self.wire.name

    @property
    def codec(self) -> Codec:  # type: ignore[override]  # the door's, also when another one carries it on
        return self.door.codec

    @property
    def data(self) -> SessionData:
        if self._data is None:
            self._data = SessionData(changed=self._data_changed)
        return self._data

    def set_data(self, values: dict[str, Any], source: str | None = None) -> None:
        """Take over what a node changed; `source` is its process, which need not be told."""
        current = self.seen is not None and self.seen.get(source or "") == self.version
        self._data = SessionData(values, self._data_changed)
        self.data_from = source
        self.changed()
        if current and self.seen is not None and source is not None:
            self.seen[source] = self.version

    def let_go(self) -> None:
        """Note that it has said goodbye."""
        if self._data is not None:
            self._data.release()

    def _data_changed(self) -> None:
        self.data_from = None
        self.changed()

    def changed(self) -> None:
        """Note that nodes must hear of a change before the next command."""
        self.version += 1
        if self.kept is not None:
            self.gate.resumption.changed(self)

    def state(self, process: str) -> dict[str, Any]:
        """Give what a node is told of this session; `ahead`: it made the last change to the data, and may be."""
        return {
            "uid": self.uid,
            "data": self._data.plain() if self._data is not None else {},
            "ahead": self.seen is not None and process in self.seen and self.data_from == process,
            "address": self.address,
            "protocol": self.wire.name,
            "codec": self.codec.name,
            "generation": self.generation,
        }

    def bind(self, uid: Uid) -> None:
        self.gate.bind(self, uid)

    def unbind(self) -> None:
        self.gate.unbind(self)

    def bound(self, uid: Uid | None) -> None:
        """Take over the uid that the gate agreed to; a player may send larger messages than a stranger."""
        self.uid = uid
        self.calm = False
        self.wire.limits = self.door.limits(logged_in=uid is not None)
        if self.layer is not None:
            self.layer.limits = self.wire.limits
        if uid is not None:
            self.welcome_player()
        self.changed()

    def push(self, push: Push | int, value: Any = None, *, policy: Policy | None = None, key: Hashable = None) -> None:
        if self.closed:
            self.gate.crowd.missed += 1
            return
        self.gate.push(self, Parcel(push, value, policy, key, self.gate.kernel.handlers.pushes))

    def join(self, group: str) -> None:
        self.gate.join(self, group)

    def leave(self, group: str) -> None:
        self.gate.leave(self, group)

    def route(self, server: str, process: str | None) -> None:
        check_route(server, process)
        routes = dict(self.routes or {})
        if process is None:
            routes.pop(server, None)
        else:
            routes[server] = process
        self.routes = routes or None
        self.barrier = self.open > 0

    def kick(self, reason: str) -> None:
        check_reason(reason)
        if self.closed:
            return
        if not self.stream.closed:
            self.say_goodbye(reason)
        self.end(reason)

    def after(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> Deadline:
        if self.timers is None:
            self.timers = SessionTimers(self.deadlines)
        return self.timers.arm(seconds, partial(self._due, function, arguments))

    def _due(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if self.jobs is None:
            self.jobs = []
        self.calm = False
        self.jobs.append(partial(self._run_job, function, arguments))
        self.gate.kernel.runners.submit(self)

    def _run_job(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        kernel = self.gate.kernel
        handler = Handler(kind="timer", name=function.__name__, function=function, source="a session's timer")
        context = HandlerContext(kernel, handler, self, kernel.clock.monotonic() + self.gate.config.timeout)
        self.running = context
        if self.parked is not None:
            self.arm(context)
        try:
            function(context, *arguments)
        except BaseException:
            context.log.exception("the timer %s of a session failed", function.__name__)
        finally:
            self.running = None

    def take_over(self, new: GateSession) -> None:
        """Go on with the connection of another session, which has none then."""
        if not self.stream.closed:
            self.stream.receiver = NOBODY
            self.stream.close("resumed")
        # Its deadlines are about a stranger's connection: nobody need log in on this one any more.
        new.release()
        self.stream, self.wire, self.layer, self.door = new.stream, new.wire, new.layer, new.door
        self.stream.receiver = self
        self.heard = True
        self.bound(self.uid)
        self.see_to_format()

    # ----------------------------------------------------------------------------------------------- ending

    def on_close(self, reason: str) -> None:
        """Note that the connection has ended; a session that can be resumed waits for its client."""
        self.release()
        if self.wire.failure is not None:
            # It said goodbye, or worse, while a command was open; that it hung up behind that is no news.
            reason = self.wire.failure.reason
        if not self.gate.resumption.wait(self, reason):
            self.end(reason)

    def end(self, reason: str) -> None:
        """End the session; a command that runs goes on, and then the session says farewell."""
        if self.closed:
            return
        self.closed = True
        self.calm = False
        self.jobs = None
        if self.timers is not None:
            self.timers.cancel()
        self.gate.left(self, reason)
        if self.parked is None and not self.open:
            self.gate.kernel.runners.submit(self)
