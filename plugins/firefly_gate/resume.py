"""Resume: a session outlives its connection, for clients that ask for a token.

1. A logged-in client sends `firefly.token` and gets one; from then on its pushes are numbered and kept until it
   acknowledges them, and its last answers are kept.
2. Its connection is lost: the session waits, and what is pushed to it meanwhile is kept, within bounds.
3. It connects anew and sends `firefly.resume` with the token, which is good once: the session continues on the new
   connection, missed pushes come in order, and a request that was answered before is answered again, not executed.
4. The answer has the next token, and may be lost too. A client that sent a `nonce` of its own with the token may send
   both again, until it has said anything on the resumed connection: that shows that it has the answer.

`resync` in the answer says that something was let go: the client had better ask for the state of its world anew.
`repeats` is false where the gate itself has died, and the answers that it had kept with it: what was sent and not
answered may have been executed, so the client had better not send it again.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import attrs
from msgspec import Meta

from firefly_core.channel.deadlines import Deadline
from firefly_core.errors import PayloadError, Refuse, Unavailable
from firefly_core.kernel.handlers.context import Context
from firefly_gate.kept import Kept

if TYPE_CHECKING:
    from firefly_gate.gate import Gate
    from firefly_gate.session import GateSession

__all__ = ["RESUME", "TOKEN", "Resumption"]

TOKEN, RESUME = "firefly.token", "firefly.resume"
TOKEN_BYTES = 32
KEEP_DELAY = 0.5
WAITS_AFTER = frozenset(("end_of_stream", "reset", "lost", "timeout", "frame_timeout"))
"""Ends of a connection that a client may not have wanted; after others the session ends too."""


@attrs.frozen
class ResumeRequest:
    """What a client sends to go on."""

    token: str
    nonce: Annotated[str, Meta(min_length=16, max_length=64)] | None = None
    """The same for each attempt with one token: two clients that have it cannot both come by it."""


def _digest(token: str) -> bytes:
    """Give what is remembered of a token: who reads the server's memory cannot use it."""
    return hashlib.sha256(token.encode()).digest()


def _former(digest: bytes, nonce: str | None) -> bytes:
    """Give what is remembered of a token that was used, together with its nonce; empty without one."""
    return hashlib.sha256(digest + nonce.encode()).digest() if nonce is not None else b""


class Resumption:
    """The tokens of one gate, and the sessions that wait for their client."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._sessions: dict[bytes, GateSession] = {}
        self._former: dict[bytes, GateSession] = {}
        """By the token before, where the client has not shown yet that it has the new one."""
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
        """Bytes of pushes and answers that are kept."""
        return sum(session.kept.size for session in self._sessions.values() if session.kept is not None)

    # --------------------------------------------------------------------------------- what clients ask for

    def on_token(self, context: Context, _body: bytes) -> bytes:
        """Give a logged-in client its token; an older one of the session is good no more."""
        session: Any = context.session
        if session.kept is None:
            self._begin(session)
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
        former = _former(digest, request.nonce)
        if new.uid is not None:
            self._refuse()
        session = self._sessions.get(digest) or self._former.get(former)
        if session is None:
            return self._adopt(new, digest, former)
        kept = session.kept
        if session.closed or session.wire.name != new.wire.name or kept is None:
            self._refuse()
        if digest == kept.digest:
            self.proven(session)  # it had the answer that told it this token
            kept.former = former
        kept.unproven = False  # by its old connection it shows nothing
        kept.acknowledge(new.wire.acknowledged)
        new.successor = session
        new.calm = False
        answer = self._token(session) | self._told(session, resync=not kept.complete)
        # Behind the answer to this request, which the old session's pushes must not overtake.
        self._gate.kernel.runners.run(self._continue, new, session)
        return bytes(new.codec.encode(answer))

    def proven(self, session: GateSession) -> None:
        """Note that a session's client has its newest token: the one before opens nothing any more."""
        kept = session.kept
        assert kept is not None
        kept.unproven = kept.adopted = False
        if kept.former:
            self._former.pop(kept.former, None)
            self._gate.logins.forget(kept.former)
            kept.former = b""

    def _refuse(self) -> NoReturn:
        self.refused += 1
        raise Refuse("bad_token", "there is no session to continue; log in")

    def _adopt(self, new: GateSession, digest: bytes, former: bytes) -> bytes:
        """Make a connection the session of a player whose gate has died: who he is, his data, groups and routes."""
        state = self._gate.logins.claim(digest, former)
        if state is None:
            self._refuse()
        new.set_data(state["data"])
        new.routes = state["routes"] or None
        try:
            # Whoever has the token is that player: where a second login is refused, this is none.
            self._gate.bind(new, state["uid"], replace=True)
            if new.closed:
                raise Unavailable("the connection was lost while its session was taken over")
        except BaseException:
            if not new.closed:
                new.set_data({})
                new.routes = None
            self._gate.logins.unclaim(digest, state)
            raise
        for group in state["groups"]:
            new.join(group)
        kept = self._begin(new)
        kept.begin_at(new.wire.acknowledged)
        kept.former = former
        kept.adopted = kept.unproven = True
        self.adopted += 1
        return bytes(new.codec.encode(self._token(new) | self._told(new, resync=True)))

    def _begin(self, session: GateSession) -> Kept:
        """Begin to keep what the session's client would miss."""
        config = self._gate.config
        session.kept = kept = Kept(config.resume_buffer, config.resume_answers)
        session.calm = False
        return kept

    def _told(self, session: GateSession, *, resync: bool) -> dict[str, Any]:
        kept = session.kept
        assert kept is not None
        return {"uid": session.uid, "seq": kept.seq, "resync": resync or kept.adopted, "repeats": not kept.adopted}

    def _token(self, session: GateSession) -> dict[str, Any]:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        kept = session.kept
        assert kept is not None
        if kept.digest:
            self._sessions.pop(kept.digest, None)
            self._gate.logins.forget(kept.digest)
        kept.digest = _digest(token)
        self._sessions[kept.digest] = session
        if kept.former:
            self._former[kept.former] = session
        self._keep(session)
        return {"token": token, "timeout": self._gate.config.resume_timeout}

    # --------------------------------------------------------------------------- in case this gate dies

    def changed(self, session: GateSession) -> None:
        """Have a session's new state kept elsewhere soon, once for the changes of half a second."""
        if not self._changed:
            self._gate.kernel.deadlines.arm(KEEP_DELAY, self._keep_changed)
        self._changed[session.id] = session

    def keep_all(self) -> bool:
        """Have every session's state kept: the process that keeps them has come back. False: not all were sent."""
        return self._gate.logins.keep([state for session in self._sessions.values() for state in self._states(session)])

    def _keep_changed(self) -> None:
        changed, self._changed = self._changed, {}
        for session in changed.values():
            if not session.closed:
                self._keep(session)

    def _keep(self, session: GateSession) -> None:
        self._gate.logins.keep(self._states(session))

    def _states(self, session: GateSession) -> list[tuple[bytes, dict[str, Any]]]:
        """Give what is kept of a session, by what is remembered of its tokens."""
        kept = session.kept
        assert kept is not None
        state = {
            "uid": session.uid,
            "data": session.data.plain(),
            "groups": sorted(session.groups),
            "routes": session.routes or {},
            "timeout": self._gate.config.resume_timeout,
        }
        return [(digest, state) for digest in (kept.digest, kept.former) if digest]

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
        session.kept.unproven = True
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
            self.proven(session)
            self._sessions.pop(session.kept.digest, None)
            self._gate.logins.forget(session.kept.digest)

    def _stop_waiting(self, session: GateSession) -> None:
        deadline = self._waiting.pop(session.id, None)
        if deadline is not None:
            deadline.cancel()

    def _give_up(self, session: GateSession) -> None:
        self._waiting.pop(session.id, None)
        session.end("not_resumed")
