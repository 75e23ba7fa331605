"""A client's session at its gate. The path of a command:

1. `on_data`: what the stream read, on a runner; the protocol makes requests of it
2. each request in order: a handler of this server runs here, others are forwarded (`_consider`, `Forward`)
3. the answers of a batch are joined and written at once (`flush`)

A session is `calm` as long as nothing is unusual with it, and most are: then no command is looked at closely.

One command runs at a time. While a handler is parked, or a forwarded command must be answered first, requests wait in
the mailbox; when that is full, the client is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from firefly_core.channel.transport import Transport
from firefly_core.errors import ProtocolError, Refuse, Unavailable
from firefly_core.kernel.handlers.context import Context, HandlerContext
from firefly_core.wire.protocol import Request
from firefly_gate.commands import UNKNOWN, Command
from firefly_gate.connection import FLUSH_AT
from firefly_gate.forward import Forward
from firefly_gate.session import GateSession

if TYPE_CHECKING:
    from firefly_gate.door import Door
    from firefly_gate.gate import Gate

__all__ = ["ClientSession"]

REQUEST_COST = 32
"""Bytes that a waiting request counts beside its body."""


class ClientSession(GateSession):
    """One connected client, and the commands that he sends."""

    __slots__ = ("_mailbox", "_waiting", "successor", "target")

    def __init__(self, gate: Gate, door: Door, transport: Transport, sid: int) -> None:
        super().__init__(gate, door, transport, sid)
        self.target: Any = None
        """The node that all open commands are at."""
        self.successor: ClientSession | None = None
        """The session that goes on with this one's connection."""
        self._mailbox: list[Request] | None = None
        self._waiting = 0

    # --------------------------------------------------------------------------------------------- serving

    def on_data(self, data: bytes) -> None:
        """Take what arrived, or (with nothing) go on with the mailbox; on a runner."""
        # What a command costs stands here: a call more in this method is 1 % of the whole message.
        calm = self.calm
        if not calm and self.successor is not None:
            self.successor.on_data(data)
            return
        wire, layer = self.wire, self.layer
        if data and (calm or wire.failure is None):
            self.heard = True
            try:
                requests: Sequence[Request] = wire.receive(data) if layer is None else layer.carry(wire, data)
            except ProtocolError as error:
                requests = ()
                self.break_off(error.forget())
            if (
                wire.tail is not None
                or wire.output is not None
                or wire.failure is not None
                or (layer is not None and (layer.tail or layer.fragments is not None or layer.output))
                or not calm
            ):
                self.see_to_format()
            self.allowance = allowance = self.allowance - len(requests)
            if allowance < 0:
                self.gate.throttle(self)
        else:
            requests = ()
        if not self.calm:
            ready = self._line_up(requests, data)
            if ready is None:
                return
            requests = ready
        kernel, door = self.gate.kernel, self.door
        now, commands, answers_always = kernel.runners.moment, door.commands, door.answers_always
        parked = waits = False
        later: Sequence[Request] = ()
        while True:
            out = None
            if len(requests) > 1:
                if self.parked is None:
                    out = self.answers = []
                if len(requests) > FLUSH_AT:
                    requests, later = requests[:FLUSH_AT], requests[FLUSH_AT:]
            pending = iter(requests)
            for request in pending:
                command = commands.get(request.command, UNKNOWN)
                run = command.run
                if run is None or self.open or not self.calm:
                    forwards = run is None and self.calm
                    runs = self._forward(request, command) if forwards else self._consider(request, command)
                    if runs is None:
                        waits = True
                        later = [request, *pending, *later]
                        break
                    if run is None or not runs:
                        continue
                    parked = self.parked is not None
                context = self.running = HandlerContext(kernel, command.handler, self, now + command.timeout)
                if parked:
                    self.arm(context)
                try:
                    body = run(context, request.body)
                    if body.__class__ is not bytes:
                        body = self.door.codec.encode(body)
                except BaseException as error:
                    self.running = None
                    self.fail(request, error, context)
                else:
                    self.running = None
                    if self.calm:
                        if answers_always or request.request_id is not None:
                            frame = wire.encode_reply(request, body)
                            if layer is not None:
                                frame = layer.wrap(frame, wire.text)
                            if out is not None:
                                out.append(frame)
                            elif frame:
                                self.stream.write_answer(frame)
                        continue
                    self.reply(request, body)
                if self.parked is not None:
                    later = [*pending, *later]
                    break
            if self.calm and not later:
                if self.answers is not None:
                    self.end_batch()
                return
            if self.parked is not None:
                # Meanwhile there may have been a reload, and the session may have come to another connection.
                now, commands = kernel.clock.monotonic(), self.door.commands
                if self._mailbox is not None:
                    # What came meanwhile is next.
                    later = self._unhold(later, ())
            elif later:
                self.flush()
            if not later or waits or self.closed:
                break
            requests, later = later, ()
        if self.answers is not None:
            self.end_batch()
        self._settle(later)

    def _line_up(self, requests: Sequence[Request], data: bytes) -> Sequence[Request] | None:
        """Put what arrived behind the commands that wait, and give all of them; None: they wait for a parked handler.

        With what arrived a client that can resume says what it has.
        """
        if self.kept is not None:
            self.kept.acknowledge(self.wire.acknowledged)
        if self.parked is not None:
            self._hold(requests)
            return None
        if data and self.kept is not None and self.kept.unproven:
            self.gate.resumption.proven(self)
        return requests if self._mailbox is None else self._unhold((), requests)

    @property
    def unfinished(self) -> int:
        """How many of its commands are accepted and not answered."""
        return self.open + (self.parked is not None) + len(self._mailbox or ())

    @property
    def held_bytes(self) -> int:
        """Bytes of commands that wait behind the one that runs."""
        return self._waiting

    def _run_jobs(self) -> None:
        """Run what is due by a timer; commands that came meanwhile are next."""
        while self.jobs and not self.closed:
            self.jobs.pop(0)()
        if self._mailbox is not None:
            self.gate.kernel.runners.submit(self)

    def _settle(self, requests: Sequence[Request]) -> None:
        """See to what is rare at the end of a batch: timers, commands that wait, a full mailbox, an end."""
        if self.jobs and not requests and not self.open:
            self._run_jobs()
        self.parked = None
        if self.closed:
            if not self.open:
                self.gate.farewell(self)
        elif requests:
            self._hold(requests)
        else:
            if self.paused:
                self.resume()
            if self.wire.failure is not None and not self.open:
                self.break_off(self.wire.failure)
        self.calm = self.is_calm()

    def is_calm(self) -> bool:
        """Look whether nothing is unusual; `calm` may be False nevertheless, and is never True otherwise."""
        return (
            self.uid is not None
            and not (self.closed or self.paused or self.jobs)
            and self.parked is None
            and self._mailbox is None
            and self.kept is None
            and self.watched is None
            and self.successor is None
            and self.wire.failure is None
        )

    def _hold(self, requests: Sequence[Request]) -> None:
        """Let requests wait, before those that wait already if they came before them."""
        if not requests or self.closed:
            return
        self.calm = False
        self._mailbox = [*(self._mailbox or ()), *requests]
        self._waiting += sum(len(request.body) + REQUEST_COST for request in requests)
        if self._waiting > self.gate.config.parking and not self.paused:
            self.pause()

    def _unhold(self, before: Sequence[Request], behind: Sequence[Request]) -> Sequence[Request]:
        """Give what waits, between what came before it and what has come since."""
        waiting, self._mailbox, self._waiting = self._mailbox, None, 0
        return [*before, *(waiting or ()), *behind]

    def _consider(self, request: Request, command: Command) -> bool | None:
        """See to a request that cannot simply run here. True: it runs here; False: it is done; None: it must wait."""
        if self.closed:
            return False
        if self.kept is not None and self._repeat(request):
            return False
        if self.uid is None and not command.public:
            return None if self.open else self._refuse(request, command)
        if command.run is None:
            return self._forward(request, command)
        if self.open:
            return None
        if self.kept is not None:
            self.kept.begin(request)
        return True

    def _repeat(self, request: Request) -> bool:
        """Answer a request that was executed before, from what is kept; False: it was not."""
        assert self.kept is not None
        try:
            answer = self.kept.repeated(request)
        except Unavailable as error:
            self.fail(request, error)
            return True
        if answer is None:
            return False
        self.write_frame(answer)
        return True

    def _forward(self, request: Request, command: Command) -> Literal[False] | None:
        """Send a command to a node, or refuse it: False; None: it must wait until the open ones are answered."""
        if command is UNKNOWN:
            return None if self.open else self._refuse(request, command)
        if self.open and (self.barrier or self.open >= self.gate.config.in_flight):
            return None
        try:
            peer = self.gate.choose(self, command)
        except Exception as error:
            self.fail(request, error)
            return False
        if self.open and peer is not self.target:
            return None
        if self.kept is not None:
            self.kept.begin(request)
        if peer is None:
            self.fail(request, Unavailable(f"no server that takes {command.name} is here just now"))
            return False
        if command.public:
            self.barrier = True
        self.target = peer
        Forward(self, request, command, peer).send()
        return False

    def _refuse(self, request: Request, command: Command) -> Literal[False]:
        if command is not UNKNOWN:
            error: Exception = Refuse("login_first", f"log in before you send {command.name}")
        elif self.gate.kernel.mesh.expected:
            error = Unavailable("not every server is here yet")
        else:
            error = Refuse("unknown_command", f"there is no command {request.command!r}")
        self.fail(request, error)
        return False

    def forwarded(self) -> None:
        """Note that a forwarded command was answered; blocks nobody."""
        self.open -= 1
        if not self.open:
            self.barrier = False
        if not self.calm and (
            self._mailbox is not None or self.jobs or (not self.open and (self.closed or self.wire.failure is not None))
        ):
            self.gate.kernel.runners.submit(self)

    def reply(self, request: Request, body: bytes) -> None:
        """Answer a request."""
        if self.door.answers_always or request.request_id is not None:
            self._answer(request, self.wire.encode_reply(request, body))

    def fail(self, request: Request, error: BaseException, context: Context | None = None) -> None:
        """Answer a request with an error; the client sees its code and message, or only `internal`."""
        code, message = self.gate.explain(error, request, context)
        if self.door.answers_always or request.request_id is not None:
            body = self.door.error_body(code, message)
            self._answer(request, self.wire.encode_error(request, code, message, body))
        if self.uid is None:
            self.gate.authentication.refused(self, code)

    def _answer(self, request: Request, frame: bytes) -> None:
        """Have an answer written with the others of its batch, or soon."""
        if self.kept is not None:
            self.kept.answer(request, frame)
        if self.layer is not None:
            frame = self.layer.wrap(frame, self.wire.text)
        if self.answers is not None:
            self.answers.append(frame)
        elif frame:
            self.stream.write_answer(frame)
