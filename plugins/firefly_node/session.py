"""A session as a node has it: a copy of the gate's, with the queue of commands that keeps them in order.

What a handler changes goes to the gate at once, on the same channel as the answer and before it, so that it is in force
when the client reads the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any

from gevent.event import Event

from firefly_core.channel.deadlines import Deadline
from firefly_core.channel.later import Later
from firefly_core.channel.runners import Receiver
from firefly_core.errors import Disconnected, Overloaded, Refuse, RemoteError, Unavailable
from firefly_core.kernel.groups import MAX_GROUPS, check_group
from firefly_core.kernel.handlers.context import HandlerContext
from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.handlers.marks import Policy, Push
from firefly_core.kernel.handlers.serial import Serial
from firefly_core.kernel.mesh.peer import Peer
from firefly_core.kernel.parcel import Parcel
from firefly_core.kernel.session import (
    Session,
    SessionData,
    SessionTimers,
    Uid,
    check_reason,
    check_route,
    check_uid,
)

if TYPE_CHECKING:
    from firefly_core.wire.codec import Codec
    from firefly_node.node import Node

__all__ = ["NodeSession"]


class NodeSession(Session, Serial):
    """One session of one gate. Its commands wait in `queue` and run one at a time."""

    __slots__ = (
        "_address",
        "_data",
        "_data_changed",
        "_greeted",
        "_groups",
        "_parted",
        "_protocol",
        "behind",
        "buckets",
        "closed",
        "codec",
        "ended",
        "gate",
        "generation",
        "id",
        "node",
        "queue",
        "timers",
        "uid",
        "version",
    )

    def __init__(self, node: Node, gate: Peer, sid: int) -> None:
        super().__init__()
        self.node = node
        self.gate = gate
        self.id = sid
        self.uid: Uid | None = None
        self.codec: Codec
        self.closed = False
        self.ended = 0.0
        self.buckets: dict[int, float] | None = None
        self.version = 0
        self.timers: SessionTimers | None = None
        self.queue: deque[Callable[[], None]] = deque()
        self._address = ""
        self._protocol = ""
        self._data = SessionData(changed=self._on_data_changed)
        self._data_changed = False
        self._greeted: Uid | None = None
        self._groups: set[str] | None = None
        """The groups that it has joined from here."""
        self._parted: Event | None = None
        self.generation = 0
        """Counts the logins of the cluster: of two of one player the higher is the player's."""
        self.behind: NodeSession | None = None
        """The player's older session, whose goodbye comes before anything of this one."""

    @property
    def deadlines(self) -> Any:  # type: ignore[override]
        """The kernel's deadlines."""
        return self.node.kernel.deadlines

    def update(self, version: int, state: dict[str, Any]) -> None:
        """Take over what the gate says of the session."""
        known, self.version = self.version > 0, version
        self.uid = state["uid"]
        self.generation = state["generation"]
        if self.uid is None:
            self._forget_player()
        self.codec = self.node.kernel.plugins.codecs[state["codec"]]
        self._address = state["address"]
        self._protocol = state["protocol"]
        if not (known and state["ahead"]):
            # Who is ahead and does not know the session had let it go: then what the gate has is all there is.
            self._data = SessionData(state["data"], self._on_data_changed)

    # --------------------------------------------------------------------------------------------- commands

    def enqueue(self, job: Callable[[], None], start: Callable[[Receiver], None] | None = None) -> None:
        """Have `job` run after those that wait already; where none do, `start` runs this session, by default soon."""
        self.queue.append(job)
        if len(self.queue) == 1 and self.parked is None:
            if start is None:
                start = self.node.kernel.runners.submit
            start(self)

    def on_data(self, _data: bytes) -> None:
        """Run what waits, in order; on a runner. While a job is parked, its runner stays and takes the next ones."""
        if self.parked is not None:
            return
        queue = self.queue
        try:
            while queue:
                # It stays in the queue while it runs, so that `enqueue` does not call for a second runner.
                try:
                    queue[0]()
                finally:
                    queue.popleft()
        finally:
            self.parked = None
            if queue:
                self.node.kernel.runners.submit(self)

    def command(self, handler: Handler, body: bytes, later: Later) -> None:
        """Run one command and answer it, unless nobody waits for the answer any more."""
        self.node.waiting -= 1
        if not later.open:
            return
        context = HandlerContext(self.node.kernel, handler, self, later.expires)
        self.running = context
        if self.parked is not None:
            self.arm(context)
        try:
            if self.uid is not None and self._greeted != self.uid:
                self.greet(self.uid)
            answer = self.node.run(handler, self.codec)(context, body)
            if answer.__class__ is not bytes:
                answer = self.codec.encode(answer)
        except BaseException as error:
            self._done()
            later.fail(self.node.explain(error, context))
        else:
            self._done()
            later.reply(answer)

    def _done(self) -> None:
        self.running = None
        self._send_data()

    def greet(self, uid: Uid) -> None:
        """Run `@on_login`: this server has a player, freshly logged in or come from elsewhere.

        Blocks until an older session of his here has done its last command and said goodbye. Raises Unavailable when he
        has logged in elsewhere since.
        """
        self.node.admit(self, uid)
        if self.behind is not None:
            self.behind.wait_parted()
            self.behind = None
        self._greeted = uid
        self.moment("login")

    def farewell(self) -> None:
        """Run `@on_disconnect`; as nobody where `@on_login` has not run: the player may be here by another session."""
        self.uid = self._greeted
        self.moment("disconnect")

    def part(self) -> None:
        """Note that this session has said goodbye."""
        self.disarm()
        self._forget_player()
        self._data.release()
        if self._parted is not None:
            self._parted.set()

    def wait_parted(self) -> None:
        """Wait until this session, which ends, has said goodbye."""
        if self.queue or self.parked is not None:
            if self._parted is None:
                self._parted = Event()
            self._parted.wait()

    def _forget_player(self) -> None:
        self.node.dismiss(self, self._greeted)
        self._greeted = None

    def moment(self, name: str) -> None:
        """Run the handlers of a moment of this session."""
        kernel = self.node.kernel
        kernel.run_on(name, lambda handler: HandlerContext(kernel, handler, self))

    # ------------------------------------------------------------------------------------ as handlers see it

    @property
    def address(self) -> str:
        return self._address

    @property
    def protocol(self) -> str:
        return self._protocol

    @property
    def data(self) -> SessionData:
        return self._data

    def bind(self, uid: Uid) -> None:
        check_uid(uid)
        try:
            generation = self.gate.call("firefly.session", "bind", self.id, uid)
        except RemoteError as error:
            if error.code == "bad_value":
                raise ValueError(error.message) from error
            raise Refuse(error.code, error.message) from error
        if not generation:
            raise Unavailable("this session has ended")
        self.uid = uid
        self.generation = generation
        if self._greeted != uid:
            self.greet(uid)

    def unbind(self) -> None:
        self.gate.call("firefly.session", "unbind", self.id)
        self.uid = None
        self._forget_player()

    def push(self, push: Push | int, value: Any = None, *, policy: Policy | None = None, key: Hashable = None) -> None:
        parcel = Parcel(push, value, policy, key, self.node.kernel.handlers.pushes)
        if not self.gate.notify("firefly.push", {"sids": [self.id]}, parcel.to_wire(self.codec)):
            self.node.kernel.groups.undelivered += 1

    def after(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> Deadline:
        if self.timers is None:
            self.timers = SessionTimers(self.deadlines)
        return self.timers.arm(seconds, lambda: self.enqueue(partial(self._run_timer, function, arguments)))

    def _run_timer(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        handler = Handler(kind="timer", name=function.__name__, function=function, source="a session's timer")
        context = HandlerContext(self.node.kernel, handler, self)
        self.running = context
        try:
            function(context, *arguments)
        except BaseException:
            context.log.exception("the timer %s of a session failed", function.__name__)
        finally:
            self._done()

    def kick(self, reason: str) -> None:
        check_reason(reason)
        self._tell("kick", reason)

    def join(self, group: str) -> None:
        check_group(group)
        groups = self._groups
        if groups is None:
            groups = self._groups = set()
        if group not in groups and len(groups) >= MAX_GROUPS:
            raise ValueError(f"a session may be in {MAX_GROUPS} groups")
        self._tell("join", group)
        groups.add(group)

    def leave(self, group: str) -> None:
        self._tell("leave", group)
        if self._groups is not None:
            self._groups.discard(group)

    def route(self, server: str, process: str | None) -> None:
        check_route(server, process)
        self._tell("route", server, process)

    def _tell(self, verb: str, *arguments: Any) -> None:
        """Tell the gate; it was told when the answer of the running command arrives there."""
        if not self.gate.notify("firefly.session", verb, self.id, *arguments):
            if self.gate.connected:
                raise Overloaded(f"{self.gate.name} is behind")
            raise Disconnected(f"{self.gate.name} is not connected", sent=False)

    def _on_data_changed(self) -> None:
        self._data_changed = True
        if self.running is None:
            self._send_data()

    def _send_data(self) -> None:
        """Give the gate what changed, once for all changes of a command."""
        if self._data_changed:
            # What could not be sent is sent with the next change or command.
            self._data_changed = not self.gate.notify("firefly.session", "data", self.id, self._data.plain())
