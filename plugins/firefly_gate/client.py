"""A client's session at its gate. The path of a command:

1. `on_data`: what the stream read, on a runner; the WebSocket layer and the protocol make requests of it
2. `_serve`: each request in order: a handler of this server runs here, others are forwarded (`Forward`)
3. `answer`: the answers of a batch are joined and written at once

One command runs at a time. While a handler is parked, or a forwarded command must be answered first, requests wait in
the mailbox; when that is full, the client is not read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from firefly_core.channel.stream import Stream
from firefly_core.channel.transport import Transport
from firefly_core.errors import ProtocolError, Refuse, Unavailable
from firefly_core.kernel.context import Context
from firefly_core.kernel.marks import Policy, Push
from firefly_core.kernel.parcel import Parcel
from firefly_core.kernel.serial import Serial
from firefly_core.kernel.session import Session, SessionData, Uid
from firefly_core.wire.protocol import Request
from firefly_gate.forward import Forward

if TYPE_CHECKING:
    from firefly_gate.commands import Command
    from firefly_gate.door import Door
    from firefly_gate.gate import Gate

__all__ = ["ClientSession"]

FLUSH_AT = 32
"""Answers that are joined into one write at most."""


class ClientSession(Session, Serial):
    """One connected client."""

    __slots__ = (
        "_data",
        "_frame_deadline",
        "_login_deadline",
        "_mailbox",
        "_out",
        "_waiting",
        "allowance",
        "asked",
        "barrier",
        "closed",
        "codec",
        "door",
        "gate",
        "generation",
        "groups",
        "heard",
        "id",
        "layer",
        "open",
        "refilled",
        "routes",
        "seen",
        "stream",
        "target",
        "uid",
        "version",
        "wire",
    )

    def __init__(self, gate: Gate, door: Door, transport: Transport, sid: int) -> None:
        super().__init__()
        self.gate = gate
        self.door = door
        self.id = sid
        self.uid: Uid | None = None
        self.codec = door.codec
        self.stream = Stream(transport, gate.kernel.runners, gate.kernel.deadlines, self, gate.stream_limits)
        self.layer = door.layer()
        self.wire = door.wire()
        self.closed = False
        self.heard = True
        """Whether anything came since the last look."""
        self.asked = False
        """Whether it was asked for a sign of life and has given none."""
        self.allowance = gate.burst
        """Messages it may send before it is read slower."""
        self.refilled = 0.0
        self.open = 0
        """Forwarded commands that are not answered yet; all at `target`."""
        self.target: Any = None
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
        self.groups: set[str] | None = None
        self._data: SessionData | None = None
        self._out: list[bytes] | None = None
        self._mailbox: deque[Request] | None = None
        self._waiting = 0
        self._frame_deadline: Any = None
        self._login_deadline: Any = gate.kernel.deadlines.arm(gate.config.login_timeout, self._on_login_timeout)

    @property
    def deadlines(self) -> Any:  # type: ignore[override]
        """The kernel's deadlines."""
        return self.gate.kernel.deadlines

    # ------------------------------------------------------------------------------------------- receiving

    def on_data(self, data: bytes) -> None:
        """Take what arrived, or (with nothing) go on with the mailbox; on a runner."""
        requests: list[Request] | deque[Request] = self._receive(data) if data else []
        if self.parked is not None:
            self._hold(requests)
            return
        if self._mailbox is not None:
            self._mailbox.extend(requests)
            requests, self._mailbox, self._waiting = self._mailbox, None, 0
        while requests:
            requests = self._serve(requests)
            if self.parked is None:
                break
            # A handler parked on this runner and is done: what came meanwhile is next.
            if self._mailbox is not None:
                requests.extend(self._mailbox)
                self._mailbox, self._waiting = None, 0
            if self.open and requests:
                break
        self.parked = None
        if self._out:
            self.flush()
        if self.closed:
            if not self.open:
                self.gate.farewell(self)
        elif requests:
            self._hold(requests)
        else:
            self.stream.resume_reading()
            if self.wire.failure is not None and not self.open:
                self._break(self.wire.failure)

    def _receive(self, data: bytes) -> list[Request]:
        self.heard = True
        wire = self.wire
        if wire.failure is not None:
            return []
        layer = self.layer
        try:
            requests = wire.receive(data) if layer is None else layer.carry(wire, data)
        except ProtocolError as error:
            self._break(error)
            return []
        if layer is not None and layer.output is not None:
            self.stream.write(b"".join(layer.take_output()))
        if wire.output is not None:
            frames, wire.output = wire.output, None
            for frame in frames:
                self._write(frame)
        if wire.partial() or (layer is not None and layer.partial()):
            if self._frame_deadline is None:
                limit = self.gate.config.frame_timeout
                self._frame_deadline = self.deadlines.arm(limit, self._on_frame_timeout)
        elif self._frame_deadline is not None:
            self._frame_deadline.cancel()
            self._frame_deadline = None
        self.allowance -= len(requests)
        if self.allowance < 0:
            self.gate.throttle(self)
        return requests

    def _hold(self, requests: list[Request] | deque[Request]) -> None:
        if not requests:
            return
        if self._mailbox is None:
            self._mailbox = deque()
        self._mailbox.extend(requests)
        self._waiting += sum(len(request.body) + 32 for request in requests)
        if self._waiting > self.gate.config.parking:
            self.stream.pause_reading()

    # --------------------------------------------------------------------------------------------- serving

    def _serve(self, requests: list[Request] | deque[Request]) -> deque[Request]:
        """Run or forward the requests in order; give those that must wait for an answer."""
        commands = self.door.commands
        clock = self.gate.kernel.clock.monotonic
        kernel = self.gate.kernel
        rest = deque(requests) if not isinstance(requests, deque) else requests
        while rest and not self.closed:
            request = rest[0]
            command = commands.get(request.command)
            if command is None or (self.uid is None and not command.public):
                if self.open:
                    break
                rest.popleft()
                self._refuse(request, command)
                continue
            run = command.run
            if run is None:
                if not self._forward(request, command):
                    break
                rest.popleft()
                continue
            if self.open:
                break
            rest.popleft()
            context = self.running = Context(kernel, command.handler, self, clock() + command.timeout)  # type: ignore[arg-type]
            if self.parked is not None:
                self.arm(context)
            try:
                body = run(context, request.body)
            except BaseException as error:
                self.running = None
                self.disarm()
                self.fail(request, error, context)
            else:
                self.running = None
                if self._deadline is not None:
                    self.disarm()
                self.reply(request, body)
            if self.parked is not None:
                self.flush()
        return rest

    def _refuse(self, request: Request, command: Command | None) -> None:
        if command is not None:
            error: Exception = Refuse("login_first", f"log in before you send {command.name}")
        elif self.gate.kernel.mesh.expected:
            error = Unavailable("not every server is here yet")
        else:
            error = Refuse("unknown_command", f"there is no command {request.command!r}")
        self.fail(request, error)

    def _forward(self, request: Request, command: Command) -> bool:
        """Send a command to a node; False: it must wait until the open ones are answered."""
        if self.open and (self.barrier or self.open >= self.gate.config.in_flight):
            return False
        peer = self.gate.choose(self, command)
        if peer is None:
            if self.open:
                return False
            self.fail(request, Unavailable(f"no server that takes {command.name} is here just now"))
            return True
        if self.open and peer is not self.target:
            return False
        if command.public:
            self.barrier = True
        self.target = peer
        Forward(self, request, command).send(peer)
        return True

    def forwarded(self) -> None:
        """Note that a forwarded command was answered; called in the hub."""
        self.open -= 1
        if not self.open:
            self.barrier = False
            if self.closed:
                self.gate.kernel.runners.submit(self)
                return
        if self._mailbox is not None or self.wire.failure is not None:
            self.gate.kernel.runners.submit(self)

    # ------------------------------------------------------------------------------------------- answering

    def reply(self, request: Request, body: bytes) -> None:
        """Answer a request."""
        if request.request_id is not None or self.wire.answers_always:
            self._put(self.wire.encode_reply(request, body))

    def fail(self, request: Request, error: BaseException, context: Context | None = None) -> None:
        """Answer a request with an error; the client sees its code and message, or only `internal`."""
        code, message = self.gate.explain(error, request, context)
        if request.request_id is not None or self.wire.answers_always:
            body = self.door.error_body(code, message)
            self._put(self.wire.encode_error(request, code, message, body))

    def _put(self, frame: bytes) -> None:
        if self.layer is not None:
            frame = self.layer.wrap(frame, self.wire.text)
        out = self._out
        if out is None:
            self._out = [frame]
        else:
            out.append(frame)
            if len(out) >= FLUSH_AT:
                self.flush()

    def put_later(self) -> None:
        """Have `flush` called at the end of this loop turn."""
        self.gate.flush_later(self)

    def flush(self) -> None:
        """Write the answers that are ready."""
        out, self._out = self._out, None
        if out:
            self.stream.write(out[0] if len(out) == 1 else b"".join(out))

    def _write(self, frame: bytes) -> bool:
        """Write a frame behind the answers that are ready."""
        if self.layer is not None:
            frame = self.layer.wrap(frame, self.wire.text)
        if self._out:
            self._out.append(frame)
            self.flush()
            return not self.closed
        return self.stream.write(frame)

    def on_blocked(self, runner: Any) -> None:
        """Write what is ready before the parked handler, and arm its deadline."""
        Serial.on_blocked(self, runner)
        if self._out:
            self.flush()

    def deliver(self, frame: bytes, policy: Policy, key: Hashable) -> None:
        """Send a push's frame by its policy; never blocks."""
        if self._out:
            self.flush()
        if policy == "reliable":
            sent = self.stream.write(frame)
        elif policy == "droppable":
            sent = self.stream.write_droppable(frame)
        else:
            sent = self.stream.write_latest(frame, key)
        if not sent:
            self.gate.counts.dropped += 1

    # ------------------------------------------------------------------------------------ as handlers see it

    @property
    def address(self) -> str:
        return self.stream.address

    @property
    def protocol(self) -> str:
        return self.wire.name

    @property
    def data(self) -> SessionData:
        if self._data is None:
            self._data = SessionData(changed=self.changed)
        return self._data

    def set_data(self, values: dict[str, Any]) -> None:
        """Take over what a node changed."""
        self._data = SessionData(values, self.changed)
        self.changed()

    def changed(self) -> None:
        """Note that nodes must hear of a change before the next command."""
        self.version += 1

    def state(self) -> dict[str, Any]:
        """Give what a node is told of this session."""
        return {
            "uid": self.uid,
            "data": self._data.plain() if self._data is not None else {},
            "address": self.address,
            "protocol": self.wire.name,
            "codec": self.codec.name,
        }

    def bind(self, uid: Uid) -> None:
        self.gate.bind(self, uid)

    def unbind(self) -> None:
        self.gate.unbind(self)

    def bound(self, uid: Uid | None) -> None:
        """Take over the uid that the gate agreed to; a player may send larger messages than a stranger."""
        self.uid = uid
        self.wire.limits = self.door.limits(logged_in=uid is not None)
        if self.layer is not None:
            self.layer.limits = self.wire.limits
        if uid is not None and self._login_deadline is not None:
            self._login_deadline.cancel()
            self._login_deadline = None
        self.changed()

    def push(self, push: Push | int, value: Any = None, *, policy: Policy | None = None, key: Hashable = None) -> None:
        if self.closed:
            self.gate.counts.dropped += 1
            return
        self.gate.push(self, Parcel(push, value, policy, key, self.gate.kernel.handlers.pushes))

    def join(self, group: str) -> None:
        self.gate.join(self, group)

    def leave(self, group: str) -> None:
        self.gate.leave(self, group)

    def route(self, server: str, process: str | None) -> None:
        routes = dict(self.routes or {})
        if process is None:
            routes.pop(server, None)
        else:
            routes[server] = process
        self.routes = routes or None
        self.barrier = self.open > 0

    def kick(self, reason: str) -> None:
        if self.closed:
            return
        goodbye = self.wire.encode_goodbye(reason)
        if goodbye:
            self._write(goodbye)
        self.flush()
        if self.layer is not None:
            self.stream.write(self.layer.close_frame(1000, reason) or self.layer.refusal(reason))
        self.stream.close_after_flush(reason)

    # ----------------------------------------------------------------------------------------------- ending

    def _break(self, error: ProtocolError) -> None:
        """End a connection whose bytes are not of the protocol."""
        if self.layer is not None:
            self.flush()
            self.stream.write(b"".join(self.layer.take_output()) + self.layer.close_frame(1002, error.reason))
        self.flush()
        self.stream.close_after_flush(error.reason)

    def look(self) -> None:
        """Look whether the client gave a sign of life since the last look; ask for one, or end it."""
        if self.heard:
            self.heard = self.asked = False
        elif self.open or self.parked is not None:
            return
        elif self.asked:
            self.kick("timeout")
        else:
            self._ask()

    def _ask(self) -> None:
        frame = self.wire.encode_heartbeat()
        if self.layer is not None:
            self.stream.write(self.layer.ping())
        elif frame:
            self._write(frame)
        else:
            # Formats without a sign of life rely on TCP keepalive.
            return
        self.asked = True

    def _on_frame_timeout(self) -> None:
        self._frame_deadline = None
        self.kick("frame_timeout")

    def _on_login_timeout(self) -> None:
        self._login_deadline = None
        self.kick("login_timeout")

    def on_close(self, reason: str) -> None:
        """Note that the connection has ended; a command that runs goes on, and then the session says farewell."""
        self.closed = True
        for deadline in (self._login_deadline, self._frame_deadline):
            if deadline is not None:
                deadline.cancel()
        self._mailbox = None
        self.gate.left(self, reason)
        if self.parked is None and not self.open:
            self.gate.kernel.runners.submit(self)
