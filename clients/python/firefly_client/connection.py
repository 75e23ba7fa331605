"""A client's connection without a socket or a clock: what to do when, for any driver.

1. `start`: `Dial` asks the driver for a line; `connected` says that it stands
2. the session: `firefly.resume` where there is a token; else `LoginNeeded`, and then a token is asked for
3. `State.OPEN`: requests are written, answers and pushes read; of numbered pushes each is told once, and acknowledged
4. the line is lost: requests wait, `Dial` comes again after a delay, and once the session is resumed every request that
   has no answer is written again under its old id. The server repeats the answers to those that it has executed; where
   it cannot (`repeats`: another server has taken the session over), they end as `Disconnected(sent=True)` instead.

Where the session cannot be resumed, requests that were sent end as `Disconnected(sent=True)`; the others wait for the
new one. A goodbye of the server ends the client, unless its reason will pass.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from firefly_client.errors import BadMessage, Disconnected, Ended, FireflyError, RequestTimeout, ServerError
from firefly_client.events import Answered, Changed, Dial, HangUp, LoginNeeded, Pushed, Resumed, State
from firefly_client.limits import Limits
from firefly_client.line import Line, Turn
from firefly_client.outgoing import Outgoing
from firefly_client.phase import PASSING_CODES, PASSING_REASONS, Phase
from firefly_client.wire import Answer, Control, Message, Push, Wire

__all__ = ["Connection"]

NONCE_BYTES = 16


class Connection(Outgoing):
    """One client's session across its lines.

    The driver calls what happens, with `now` from one steady clock; after each call it writes `take_output` and then
    does what `take_events` says, and it calls `tick` at `due`. It reports nothing of a line that it was told to hang
    up. With `login` False there is no `LoginNeeded`, and no session to resume.
    """

    def __init__(
        self, wire: Wire, chance: Callable[[], float], *, login: bool, resume: bool = True, limits: Limits | None = None
    ) -> None:
        super().__init__(wire, limits or Limits())
        self._login = login
        self._resume = resume and wire.resumable
        self._line = Line(self.limits, chance, heartbeat=wire.controls)
        self._token: str | None = None
        self._nonce = ""
        """Goes with the token, so that both can be sent again when the answer with the next one was lost."""

    # ------------------------------------------------------------------------------------------ for the driver

    @property
    def due(self) -> float | None:
        """When `tick` is to be called next; None: not before something else happens."""
        times = [time for time in (self._requests.next_deadline, self._line.due) if time is not None]
        return min(times, default=None)

    def start(self, now: float) -> None:
        """Begin to connect; without effect while it is connected or tries to be."""
        self._now = now
        if self.state is State.ENDED:
            self._line.settled()
            self._dial()

    def hurry(self, now: float) -> None:
        """Make the next attempt at once, where one is waited for."""
        self._now = now
        if self.state is State.WAITING:
            self._dial()

    def connected(self, now: float, *, stream: bool) -> None:
        """Note that the line stands, WebSocket's opening handshake included; `stream`: messages come as bytes."""
        self._now = now
        if not self._line.dialing:
            return
        self._line.stands(now)
        self._wire.reset(stream=stream)
        if self._token is not None:
            self._phase = Phase.RESUMING
            self._ask("firefly.resume", {"token": self._token, "nonce": self._nonce})
        else:
            self._begin_session()

    def heard(self, now: float) -> None:
        """Note a sign of life; `receive` does so by itself."""
        self._now = now
        if self._line.up:
            self._line.heard(now)

    def receive(self, data: bytes, now: float) -> None:
        """Take what arrived."""
        self.heard(now)
        try:
            for message in self._wire.receive(data):
                if self._line.up:  # what comes behind a goodbye is nothing to us
                    self._take(message, len(data))
        except BadMessage as error:
            self._hang_up(error.code)

    def lost(self, reason: str, now: float) -> None:
        """Note that the line has ended, or could not be had."""
        self._now = now
        if not self._line.up and not self._line.dialing:
            return
        self._phase = Phase.NONE
        self._output.clear()
        for pending in self._requests.take(lambda pending: pending.urgent):
            self._fail(pending, Disconnected(f"the line was lost: {reason}", sent=True))
        if self._token is None:
            self._forget_session(reason)
        self._line.wait(now)
        self._change(State.WAITING, reason)

    def tick(self, now: float) -> None:
        """Do what the time has come for."""
        self._now = now
        for pending in self._requests.late(now):
            what = "no answer" if pending.sent else "no connection"
            self._fail(pending, RequestTimeout(f"{what} in time for {pending.command}"))
            if pending.id == self._own:
                self._hang_up("timeout")
        if self._phase is Phase.READY:
            self._flush()
        turn = self._line.tick(now)
        if turn is Turn.DIAL:
            self._dial()
        elif turn is Turn.PING:
            self._control("ping")
        elif turn is Turn.DEAD:
            self._hang_up("timeout" if self._line.up else "connect_timeout")

    # ------------------------------------------------------------------------------------------- for the player

    def logged_in(self, attempt: int, now: float) -> None:
        """Note that the login has succeeded."""
        self._now = now
        if not self._is_login(attempt):
            return
        if self._resume:
            self._phase = Phase.TOKEN
            self._ask("firefly.token", None)
        else:
            self._open()

    def login_failed(self, attempt: int, error: BaseException, now: float) -> None:
        """Note that the login has failed: another try follows if that may help, else the client ends."""
        self._now = now
        if not self._is_login(attempt):
            return
        code = error.code if isinstance(error, FireflyError) else "login_failed"
        if code in PASSING_CODES:
            self._hang_up(code)
        else:
            self._end(code, error)

    def drop(self, now: float, reason: str = "dropped") -> None:
        """Cut the line without a word, as a bad network does; the session is resumed on the next one."""
        self._now = now
        self._hang_up(reason)

    def close(self) -> None:
        """End for good: say goodbye, close the line, fail what is open."""
        if self._line.up and self._wire.controls:
            self._control("goodbye")
        self._end("closed")

    # ---------------------------------------------------------------------------------------------- the session

    def _dial(self) -> None:
        self._line.dial(self._now)
        self._change(State.CONNECTING)
        self._events.append(Dial())

    def _begin_session(self) -> None:
        if self._login:
            self._phase = Phase.LOGIN
            self._attempt += 1
            self._events.append(LoginNeeded(self._attempt))
        else:
            self._open()

    def _open(self) -> None:
        self._phase = Phase.READY
        self._line.settled()
        self._change(State.OPEN)
        self._flush()

    def _take(self, message: Message, size: int) -> None:
        if isinstance(message, Push):
            self._take_push(message, size)
        elif isinstance(message, Control):
            self._take_control(message)
        elif (pending := self._requests.end(message.id)) is not None:
            if message.id == self._own:
                self._take_own(message)
            elif message.error is not None:
                self._fail(pending, ServerError(*message.error))
            else:
                self._events.append(Answered(message.id, message.body))
            if self._phase is Phase.READY:
                self._flush()

    def _take_own(self, answer: Answer) -> None:
        """Take the answer to `firefly.resume` or `firefly.token`."""
        if self._phase is Phase.RESUMING and answer.error is not None and answer.error[0] in PASSING_CODES:
            # The token is good all the same.
            self._hang_up(answer.error[0])
            return
        body = answer.body if isinstance(answer.body, dict) else {}
        token = body.get("token")
        self._token = token if isinstance(token, str) else None
        self._nonce = secrets.token_urlsafe(NONCE_BYTES)
        if self._phase is Phase.TOKEN:
            self._open()
        elif self._token is None:
            self._forget_session("it cannot be resumed")
            self._begin_session()
        else:
            if body.get("repeats") is False:
                self._fail_sent("it goes on at another server")
            for pending in self._requests.to_repeat():
                self._write(pending.id, pending.command, pending.body)
            self._events.append(Resumed(bool(body.get("resync"))))
            self._open()

    def _forget_session(self, reason: str) -> None:
        self._acknowledged.reset()
        self._fail_sent(f"the session was lost: {reason}")

    def _take_push(self, push: Push, size: int) -> None:
        if self._acknowledged.take(push.seq, size):
            self._events.append(Pushed(push))
        if self._acknowledged.due:
            self._control("ack")

    def _take_control(self, control: Control) -> None:
        if control.name == "ping":
            self._control("pong")
        elif control.name == "goodbye":
            if control.reason in PASSING_REASONS:
                self._hang_up(control.reason)
            else:
                self._end(control.reason)

    # ----------------------------------------------------------------------------------------------- small parts

    def _hang_up(self, reason: str) -> None:
        if self._line.up or self._line.dialing:
            self._events.append(HangUp(polite=False))
            self.lost(reason, self._now)

    def _end(self, reason: str, error: BaseException | None = None) -> None:
        if self.state is State.ENDED:
            return
        if self._line.up or self._line.dialing:
            self._events.append(HangUp(polite=True))
        self._line.end()
        self._phase = Phase.NONE
        self._token = None
        self._acknowledged.reset()
        for pending in self._requests.clear():
            self._fail(pending, Ended(reason))
        self._change(State.ENDED, reason, error)

    def _change(self, state: State, reason: str = "", error: BaseException | None = None) -> None:
        if state is not self.state:
            self.state = state
            self.reason = reason
            self._events.append(Changed(state, reason, error))
