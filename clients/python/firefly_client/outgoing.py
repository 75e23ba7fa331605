"""What a connection writes and tells: its requests, its messages, its events, and the state in which that is done."""

from __future__ import annotations

from typing import Any

from firefly_client.acknowledged import Acknowledged
from firefly_client.errors import Disconnected, Ended, FireflyError, Overloaded
from firefly_client.events import Event, Failed, State
from firefly_client.limits import Limits
from firefly_client.phase import Phase
from firefly_client.requests import Pending, Requests
from firefly_client.wire import Wire

__all__ = ["Outgoing"]


class Outgoing:
    """Requests on their way, messages to write, and events for the driver."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self.limits = limits
        self.state = State.ENDED
        self.reason = "not started"
        """Why it is in that state."""
        self._wire = wire
        self._requests = Requests(limits.window, limits.queue)
        self._acknowledged = Acknowledged(limits)
        self._phase = Phase.NONE
        self._attempt = 0
        """Counts the logins."""
        self._own = 0
        """The id of the request that makes the session."""
        self._now = 0.0
        self._output: list[bytes] = []
        self._events: list[Event] = []

    def take_output(self) -> list[bytes]:
        """Give the messages to write, in order."""
        output, self._output = self._output, []
        return output

    def take_events(self) -> list[Event]:
        """Give what happened, in order."""
        events, self._events = self._events, []
        return events

    def cancel(self, identity: int) -> None:
        """Want no answer any more; the request may be executed all the same."""
        self._requests.end(identity)

    def request(
        self, command: int | str, body: Any, now: float, *, timeout: float | None = None, attempt: int = 0
    ) -> int:
        """Ask; the id comes back in `Answered` or `Failed`, once. `attempt`: as part of that login.

        Raises Ended, Overloaded, Disconnected, and TypeError or ValueError for a body that cannot be sent.
        """
        identity = self._requests.new_id()
        self._add(identity, command, body, now, timeout, attempt)
        return identity

    def notify(self, command: int | str, body: Any, now: float, *, attempt: int = 0) -> None:
        """Tell without wanting an answer; what was on the line when it broke may be lost. Raises as `request`."""
        self._add(None, command, body, now, None, attempt)

    def _add(
        self, identity: int | None, command: int | str, body: Any, now: float, timeout: float | None, attempt: int
    ) -> None:
        self._now = now
        data = self._wire.encode_body(body)
        if len(data) > self.limits.max_body:
            raise ValueError(f"a body of {len(data)} bytes for {command}, {self.limits.max_body} are allowed")
        deadline = now + (self.limits.timeout if timeout is None else timeout)
        pending = Pending(identity, command, data, deadline, urgent=attempt > 0)
        if self.state is State.ENDED:
            raise Ended(self.reason)
        if pending.urgent:
            if not self._is_login(attempt):
                raise Disconnected("the line of this login is lost", sent=False)
            self._send(pending)
            return
        if self._requests.full(now):
            raise Overloaded(f"{self.limits.queue} requests wait already")
        self._requests.add(pending)
        if self._phase is Phase.READY:
            self._flush()

    def _is_login(self, attempt: int) -> bool:
        return self._phase is Phase.LOGIN and attempt == self._attempt

    def _ask(self, command: str, body: Any) -> None:
        """Send a request that makes the session."""
        self._own = self._requests.new_id()
        deadline = self._now + self.limits.timeout
        self._send(Pending(self._own, command, self._wire.encode_body(body), deadline, urgent=True))

    def _send(self, pending: Pending) -> None:
        pending.sent = True
        self._requests.add(pending)
        self._write(pending.id, pending.command, pending.body)

    def _flush(self) -> None:
        for pending in self._requests.ready(self._now):
            self._write(pending.id, pending.command, pending.body)

    def _control(self, name: str) -> None:
        """Send a message of the format itself."""
        self._write(None, name, self._wire.encode_body(None))

    def _write(self, identity: int | None, command: int | str, body: bytes) -> None:
        self._output.append(self._wire.encode(identity, command, body, self._acknowledged.seq))
        self._acknowledged.said()

    def _fail(self, pending: Pending, error: FireflyError) -> None:
        if pending.id is not None and pending.id != self._own:
            self._events.append(Failed(pending.id, error))

    def _fail_sent(self, reason: str) -> None:
        """Fail what was sent and not answered: nobody can say whether it was executed."""
        for pending in self._requests.take(lambda pending: pending.sent):
            self._fail(pending, Disconnected(reason, sent=True))
