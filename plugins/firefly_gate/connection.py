"""A client's connection: bytes to requests, answers to bytes, and what ends it when the client misbehaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firefly_core.channel.deadlines import Deadline, Deadlines
from firefly_core.channel.stream import Stream
from firefly_core.channel.transport import Transport
from firefly_core.errors import ProtocolError
from firefly_core.kernel.handlers.serial import Serial

if TYPE_CHECKING:
    from firefly_gate.door import Door
    from firefly_gate.gate import Gate

__all__ = ["FLUSH_AT", "LOOKS", "Connection"]

FLUSH_AT = 32
"""Answers that are joined into one write at most."""


LOOKS = 6
"""Looks in one heartbeat: silence is known to a sixth of it, and never taken for longer than it is."""
ASK, DEAD = LOOKS - 1, 2 * LOOKS - 1
"""Silent looks in a row at which a client is asked for a sign of life, and at which it is dead."""


class Connection(Serial):
    """The part of a session that knows its stream, its WebSocket layer and its protocol."""

    __slots__ = (
        "_login_deadline",
        "allowance",
        "answers",
        "calm",
        "door",
        "gate",
        "heard",
        "layer",
        "paused",
        "refilled",
        "silent",
        "stream",
        "throttled",
        "watched",
        "wire",
    )

    def __init__(self, gate: Gate, door: Door, transport: Transport) -> None:
        super().__init__()
        self.gate = gate
        self.door = door
        self.stream = Stream(transport, gate.kernel.runners, gate.kernel.deadlines, self, gate.stream_limits)
        self.layer = door.layer()
        self.wire = door.wire()
        self.calm = False
        """Whether nothing is unusual: the player is logged in, and no command is parked or waits, no frame has begun,
        nothing is kept or due, nothing has ended. What changes any of that says False; the end of a batch looks anew.
        """
        self.heard = True
        """Whether anything came since the last look."""
        self.silent = 0
        """Looks in a row at which nothing had come."""
        self.allowance = gate.burst
        """Messages it may send before it is read slower."""
        self.refilled = gate.kernel.clock.monotonic()
        self.throttled = False
        """Whether it is not read because it sent more than its rate allows."""
        self.paused = False
        """Whether it is not read because too many commands wait."""
        self.answers: list[bytes] | None = None
        """What is ready of a batch of several that is being answered; None where none is."""
        self.watched: Deadline | None = None
        """Runs as long as a frame has begun that is not complete."""
        self._login_deadline: Deadline | None = self.deadlines.arm(gate.config.login_timeout, self._on_login_timeout)

    @property
    def deadlines(self) -> Deadlines:  # type: ignore[override]
        """The kernel's deadlines."""
        return self.gate.kernel.deadlines

    def on_data(self, data: bytes) -> None:
        """Take what arrived."""
        raise NotImplementedError

    def on_close(self, reason: str) -> None:
        """Note that the stream has ended."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------- receiving

    def see_to_format(self) -> None:
        """Write what the format itself wants sent, and have a deadline as long as a frame is not complete."""
        if self.stream.closed:
            return
        layer, wire = self.layer, self.wire
        if layer is not None and layer.output is not None:
            self.stream.write(b"".join(layer.take_output()))
        if wire.output is not None:
            self._write_output()
        if wire.failure is not None:
            self.calm = False
        if wire.tail is not None or (layer is not None and layer.partial()):
            if self.watched is None:
                self.calm = False
                self.watched = self.deadlines.arm(self.gate.config.frame_timeout, self._on_frame_timeout)
        elif self.watched is not None:
            self.watched.cancel()
            self.watched = None

    def _write_output(self) -> None:
        frames, self.wire.output = self.wire.output, None
        for frame in frames or ():
            self.write_frame(frame)

    def pause(self) -> None:
        """Read nothing until the waiting commands are done."""
        self.paused = True
        self.calm = False
        self.stream.pause_reading()

    def resume(self) -> None:
        """Read again, unless the client is ahead of its rate."""
        self.paused = False
        if not self.throttled and not self.gate.closing:
            self.stream.resume_reading()

    # ------------------------------------------------------------------------------------------- answering

    def flush(self) -> None:
        """Write what the batch that is being answered has ready."""
        if self.answers:
            data = b"".join(self.answers)
            self.answers.clear()
            self.stream.write(data)

    def end_batch(self) -> None:
        """Have what is ready written soon; the rest, if there is any, goes its own way."""
        answers, self.answers = self.answers, None
        if answers:
            self.stream.write_answer(b"".join(answers))

    def write_frame(self, frame: bytes) -> bool:
        """Write a frame behind the answers that are ready; an empty one is none."""
        if not frame:
            return True
        if self.layer is not None:
            frame = self.layer.wrap(frame, self.wire.text)
        self.flush()
        return self.stream.write(frame)

    def on_blocked(self, runner: Any) -> None:
        """Write what is ready before the parked handler, and arm its deadline."""
        self.calm = False
        Serial.on_blocked(self, runner)
        if self.answers is not None:
            self.end_batch()

    # ----------------------------------------------------------------------------------------------- ending

    def say_goodbye(self, reason: str) -> None:
        """Tell the client why, and close the connection once he could read it."""
        goodbye = self.wire.encode_goodbye(reason)
        if goodbye:
            self.write_frame(goodbye)
        self.flush()
        if self.layer is not None:
            self.stream.write(self.layer.close_frame(1000, reason) or self.layer.refusal(reason))
        self.stream.close_after_flush(reason)

    def break_off(self, error: ProtocolError) -> None:
        """End a connection whose bytes are not of the protocol."""
        self.flush()
        self._write_output()
        if self.layer is not None:
            self.stream.write(b"".join(self.layer.take_output()) + self.layer.close_frame(1002, error.reason))
        self.stream.close_after_flush(error.reason)

    def look(self, *, busy: bool) -> None:
        """Look whether the client gave a sign of life since the last look; ask for one, or end it."""
        if self.stream.closed:
            return
        if self.heard:
            self.heard = False
            self.silent = 0
        elif not busy:
            self.silent += 1
            if self.silent >= ASK:
                self._bear_silence()

    def _bear_silence(self) -> None:
        frame = self.wire.encode_heartbeat()
        if not frame and self.layer is None:
            # Formats without a sign of life rely on TCP keepalive.
            self._wait_on()
        elif self.silent >= DEAD:
            self.stream.close("timeout")
        elif self.silent == ASK:
            if self.layer is not None:
                self.stream.write(self.layer.ping())
            else:
                self.write_frame(frame)

    def _wait_on(self) -> None:
        """Bear the silence of a client that cannot be asked, for as long as the configuration says."""
        config = self.gate.config
        if 0 < config.idle_timeout <= self.silent * config.heartbeat / LOOKS:
            self.say_goodbye("idle")

    def welcome_player(self) -> None:
        """Note that the client has logged in: its deadline for that runs no more."""
        if self._login_deadline is not None:
            self._login_deadline.cancel()
            self._login_deadline = None

    def release(self) -> None:
        """Forget the deadlines."""
        self.disarm()
        for deadline in (self._login_deadline, self.watched):
            if deadline is not None:
                deadline.cancel()
        self._login_deadline = self.watched = None

    def _on_frame_timeout(self) -> None:
        self.watched = None
        self.say_goodbye("frame_timeout")

    def _on_login_timeout(self) -> None:
        self._login_deadline = None
        self.say_goodbye("login_timeout")
