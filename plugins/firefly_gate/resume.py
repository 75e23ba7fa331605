"""Resume: a session outlives its connection, for clients that ask for a token.

1. A logged-in client sends `firefly.token` and gets one; from then on its pushes are numbered and kept until it
   acknowledges them, and its last answers are kept.
2. Its connection is lost: the session waits, and what is pushed to it meanwhile is kept, within bounds.
3. It connects anew and sends `firefly.resume` with the token, which is good once: the session continues on the new
   connection, missed pushes come in order, and a request that was answered before is answered again, not executed.

`resync` in the answer says that something was let go: the client had better ask for the state of its world anew.
`repeats` is false where the gate itself has died, and the answers that it had kept with it: what was sent and not
answered may have been executed, so the client had better not send it again.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from firefly_core.channel.deadlines import Deadline
from firefly_core.errors import PayloadError, Refuse
from firefly_core.kernel.context import Context
from firefly_core.wire.protocol import Request

if TYPE_CHECKING:
    from firefly_gate.gate import Gate
    from firefly_gate.session import GateSession

__all__ = ["RESUME", "TOKEN", "Kept", "Resumption"]

TOKEN, RESUME = "firefly.token", "firefly.resume"
TOKEN_BYTES = 32
MAX_ANSWERS = 32
MAX_SEQ = 2**48
"""No push has so high a number; what a client says beyond it is not believed."""
KEEP_DELAY = 0.5
WAITS_AFTER = frozenset(("end_of_stream", "reset", "lost", "timeout", "frame_timeout"))
"""Ends of a connection that a client may not have wanted; after others the session ends too."""


@attrs.frozen
class ResumeRequest:
    """What a client sends to go on."""

    token: str


def _digest(token: str) -> bytes:
    """Give what is remembered of a token: who reads the server's memory cannot use it."""
    return hashlib.sha256(token.encode()).digest()


class Kept:
    """What is kept of one session so that it can be resumed."""

    __slots__ = ("acknowledged", "answers", "digest", "limit", "open", "pushes", "seq", "size")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.digest = b""
        self.seq = 0
        self.acknowledged = 0
        self.pushes: deque[tuple[int, bytes]] = deque()
        self.size = 0
        self.answers: dict[int | str, bytes] = {}
        self.open: set[int | str] = set()
        """Requests that are being executed."""

    def begin_at(self, seq: int) -> None:
        """Number pushes on from what the client has, so that it takes none for one that it has already."""
        self.seq = self.acknowledged = min(seq, MAX_SEQ)

    def push(self, frame: bytes) -> None:
        """Keep a numbered push; over the limit the oldest are let go."""
        self.pushes.append((self.seq, frame))
        self.size += len(frame)
        while self.size > self.limit and len(self.pushes) > 1:
            self._drop()

    def acknowledge(self, seq: int) -> None:
        """Let go what the client has."""
        self.acknowledged = max(self.acknowledged, min(seq, self.seq))
        while self.pushes and self.pushes[0][0] <= self.acknowledged:
            self._drop()

    def _drop(self) -> None:
        self.size -= len(self.pushes.popleft()[1])

    @property
    def complete(self) -> bool:
        """Whether every push that the client has not acknowledged is still here."""
        return not self.pushes or self.pushes[0][0] <= self.acknowledged + 1

    def repeated(self, request: Request) -> bytes | None:
        """Give the answer to a request that was executed before, empty while it is; None: it was not."""
        identity = request.request_id
        if identity is None:
            return None
        return b"" if identity in self.open else self.answers.get(identity)

    def begin(self, request: Request) -> None:
        """Note a request that is being executed from now on."""
        if request.request_id is not None:
            self.open.add(request.request_id)

    def answer(self, request: Request, frame: bytes) -> None:
        """Keep an answer; of more than 32 the oldest is let go."""
        identity = request.request_id
        if identity is None:
            return
        self.open.discard(identity)
        self.answers[identity] = frame
        if len(self.answers) > MAX_ANSWERS:
            del self.answers[next(iter(self.answers))]


class Resumption:
    """The tokens of one gate, and the sessions that wait for their client."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._sessions: dict[bytes, GateSession] = {}
        self._waiting: dict[int, Deadline] = {}
        self._changed: dict[int, GateSession] = {}
        self.resumed = 0
        self.adopted = 0
        """Sessions taken over from a gate that has died."""
        self.refused = 0

    @property
    def waiting(self) -> int:
        """Sessions without a connection."""
        return len(self._waiting)

    @property
    def kept_bytes(self) -> int:
        """Bytes of pushes that are kept."""
        return sum(session.kept.size for session in self._sessions.values() if session.kept is not None)

    # --------------------------------------------------------------------------------- what clients ask for

    def on_token(self, context: Context, _body: bytes) -> bytes:
        """Give a logged-in client its token; an older one of the session is good no more."""
        session: Any = context.session
        if session.kept is None:
            session.kept = Kept(self._gate.config.resume_buffer)
        return bytes(session.codec.encode(self._token(session)))

    def on_resume(self, context: Context, body: bytes) -> bytes:
        """Continue the session of a token on this connection; raises Refuse for a token that is good for nothing."""
        new: Any = context.session
        try:
            request = new.codec.decoder(ResumeRequest)(body)
        except PayloadError:
            self.refused += 1
            raise
        digest = _digest(request.token)
        session = self._sessions.pop(digest, None)
        if session is None:
            return self._adopt(new, digest)
        if session.closed or session.wire.name != new.wire.name:
            self._refuse()
        kept = session.kept
        assert kept is not None
        kept.acknowledge(new.wire.acknowledged)
        new.successor = session
        answer = self._token(session) | self._told(session, resync=not kept.complete, repeats=True)
        # Behind the answer to this request, which the old session's pushes must not overtake.
        self._gate.kernel.runners.run(self._continue, new, session)
        return bytes(new.codec.encode(answer))

    def _refuse(self) -> NoReturn:
        self.refused += 1
        raise Refuse("bad_token", "there is no session to continue; log in")

    def _adopt(self, new: GateSession, digest: bytes) -> bytes:
        """Make a connection the session of a player whose gate has died: who he is, his data, groups and routes."""
        if new.uid is not None:
            self._refuse()
        state = self._gate.logins.claim(digest)
        if state is None:
            self._refuse()
        new.set_data(state["data"])
        new.routes = state["routes"] or None
        try:
            # Whoever has the token is that player: where a second login is refused, this is none.
            self._gate.bind(new, state["uid"], replace=True)
        except BaseException:
            new.set_data({})
            new.routes = None
            self._gate.logins.keep(digest, state)
            raise
        for group in state["groups"]:
            new.join(group)
        new.kept = Kept(self._gate.config.resume_buffer)
        new.kept.begin_at(new.wire.acknowledged)
        self.adopted += 1
        return bytes(new.codec.encode(self._token(new) | self._told(new, resync=True, repeats=False)))

    def _told(self, session: GateSession, *, resync: bool, repeats: bool) -> dict[str, Any]:
        assert session.kept is not None
        return {"uid": session.uid, "seq": session.kept.seq, "resync": resync, "repeats": repeats}

    def _token(self, session: GateSession) -> dict[str, Any]:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        assert session.kept is not None
        if session.kept.digest:
            self._sessions.pop(session.kept.digest, None)
            self._gate.logins.forget(session.kept.digest)
        session.kept.digest = _digest(token)
        self._sessions[session.kept.digest] = session
        self._keep(session)
        return {"token": token, "timeout": self._gate.config.resume_timeout}

    # --------------------------------------------------------------------------- in case this gate dies

    def changed(self, session: GateSession) -> None:
        """Have a session's new state kept elsewhere soon, once for the changes of half a second."""
        if not self._changed:
            self._gate.kernel.deadlines.arm(KEEP_DELAY, self._keep_changed)
        self._changed[session.id] = session

    def keep_all(self) -> None:
        """Have every session's state kept: the process that keeps them has come back."""
        for session in self._sessions.values():
            self._keep(session)

    def _keep_changed(self) -> None:
        changed, self._changed = self._changed, {}
        for session in changed.values():
            if not session.closed:
                self._keep(session)

    def _keep(self, session: GateSession) -> None:
        assert session.kept is not None
        state = {
            "uid": session.uid,
            "data": session.data.plain(),
            "groups": sorted(session.groups or ()),
            "routes": session.routes or {},
            "timeout": self._gate.config.resume_timeout,
        }
        self._gate.logins.keep(session.kept.digest, state)

    def _continue(self, new: GateSession, session: GateSession) -> None:
        if new.closed or session.closed:
            return
        self._stop_waiting(session)
        self.resumed += 1
        new.flush()
        session.take_over(new)
        self._gate.left(new, "resumed")
        self._gate.farewell(new)
        assert session.kept is not None
        for _, frame in session.kept.pushes:
            session.write_frame(frame)

    # ---------------------------------------------------------------------------------- what becomes of them

    def wait(self, session: GateSession, reason: str) -> bool:
        """Keep a session whose connection ended for `reason`; False: it ends too."""
        timeout = self._gate.config.resume_timeout
        if session.kept is None or reason not in WAITS_AFTER or session.uid is None or not timeout:
            return False
        self._waiting[session.id] = self._gate.kernel.deadlines.arm(timeout, lambda: self._give_up(session))
        return True

    def forget(self, session: GateSession) -> None:
        """Let go a session that has ended."""
        self._stop_waiting(session)
        if session.kept is not None:
            self._sessions.pop(session.kept.digest, None)
            self._gate.logins.forget(session.kept.digest)

    def _stop_waiting(self, session: GateSession) -> None:
        deadline = self._waiting.pop(session.id, None)
        if deadline is not None:
            deadline.cancel()

    def _give_up(self, session: GateSession) -> None:
        self._waiting.pop(session.id, None)
        session.end("not_resumed")
