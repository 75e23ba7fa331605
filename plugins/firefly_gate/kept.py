"""What a gate keeps of one session for the case that its connection is lost: pushes, answers, and who has asked."""

from __future__ import annotations

from collections import deque

from firefly_core.errors import Unavailable
from firefly_core.wire.protocol import Request

__all__ = ["Kept"]

MAX_ANSWERS = 32
MAX_SEQ = 2**48
"""No push has so high a number; what a client says beyond it is not believed."""


class Kept:
    """What is kept of one session so that it can be resumed: at most so many bytes of pushes, and of answers."""

    __slots__ = (
        "acknowledged",
        "adopted",
        "answered",
        "answers",
        "digest",
        "former",
        "open",
        "pushed",
        "pushes",
        "seq",
        "size_of_answers",
        "size_of_pushes",
        "unproven",
    )

    def __init__(self, pushed: int, answered: int) -> None:
        self.pushed = pushed
        self.answered = answered
        self.digest = b""
        """What is remembered of the token."""
        self.former = b""
        """What is remembered of the token before and its nonce, until the client has shown that it has the new one."""
        self.unproven = False
        """Whether whatever the client says next shows that."""
        self.adopted = False
        """Whether the session was taken over from a dead gate, and the client may not know it yet."""
        self.seq = 0
        self.acknowledged = 0
        self.pushes: deque[tuple[int, bytes]] = deque()
        self.size_of_pushes = 0
        self.answers: dict[int | str, bytes | None] = {}
        """The frames of the last answers; None: it was let go."""
        self.size_of_answers = 0
        self.open: set[int | str] = set()
        """Requests that are being executed."""

    def begin_at(self, seq: int) -> None:
        """Number pushes on from what the client has, so that it takes none for one that it has already."""
        self.seq = self.acknowledged = min(seq, MAX_SEQ)

    def push(self, frame: bytes) -> None:
        """Keep a numbered push; over the limit the oldest are let go."""
        self.pushes.append((self.seq, frame))
        self.size_of_pushes += len(frame)
        while self.size_of_pushes > self.pushed and len(self.pushes) > 1:
            self._drop()

    def acknowledge(self, seq: int) -> None:
        """Let go what the client has."""
        self.acknowledged = max(self.acknowledged, min(seq, self.seq))
        while self.pushes and self.pushes[0][0] <= self.acknowledged:
            self._drop()

    def _drop(self) -> None:
        self.size_of_pushes -= len(self.pushes.popleft()[1])

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self.size_of_pushes + self.size_of_answers

    @property
    def complete(self) -> bool:
        """Whether every push that the client has not acknowledged is still here."""
        return not self.pushes or self.pushes[0][0] <= self.acknowledged + 1

    def repeated(self, request: Request) -> bytes | None:
        """Give the answer to a request that was executed before, empty while it is; None: it was not.

        Raises Unavailable where it was executed and its answer was let go.
        """
        identity = request.request_id
        if identity is None:
            return None
        if identity in self.open:
            return b""
        frame = self.answers.get(identity)
        if frame is None and identity in self.answers:
            raise Unavailable("this was executed before, and its answer is not kept any more")
        return frame

    def begin(self, request: Request) -> None:
        """Note a request that is being executed from now on."""
        if request.request_id is not None:
            self.open.add(request.request_id)

    def answer(self, request: Request, frame: bytes) -> None:
        """Keep an answer; of more than 32 the oldest is forgotten, of too many bytes the oldest are let go."""
        identity = request.request_id
        if identity is None:
            return
        self.open.discard(identity)
        self._let_go(identity)
        self.answers[identity] = frame
        self.size_of_answers += len(frame)
        if len(self.answers) > MAX_ANSWERS:
            oldest = next(iter(self.answers))
            self._let_go(oldest)
            del self.answers[oldest]
        if self.size_of_answers > self.answered:
            for identity in self.answers:
                self._let_go(identity)
                if self.size_of_answers <= self.answered:
                    break

    def _let_go(self, identity: int | str) -> None:
        frame = self.answers.get(identity)
        if frame is not None:
            self.size_of_answers -= len(frame)
            self.answers[identity] = None
