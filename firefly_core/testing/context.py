"""A fake `ctx` for unit tests of handlers: a handler is a plain function, so a test just calls it.

ctx = FakeContext(uid=7, state=Meadow(), answers={"ranking.submit": 3})
assert catch(ctx, Catch(firefly=1)).rank == 3
assert ctx.pushes == [Pushed("group:meadow", 2003, Caught(...))]
"""

from __future__ import annotations

import logging
import types
from collections.abc import Collection, Hashable, Mapping
from typing import Any

import attrs
import msgspec

from firefly_core.channel.clock import Clock
from firefly_core.errors import NoSuchMethod
from firefly_core.kernel.groups import Group
from firefly_core.kernel.handlers.context import Context
from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.handlers.marks import Policy, Push
from firefly_core.kernel.mesh.remotes import plain
from firefly_core.kernel.session import Uid
from firefly_core.testing.session import FakeSession
from firefly_core.testing.still_clock import StillClock

__all__ = ["Called", "FakeContext", "Pushed"]

WIRE = msgspec.json.Encoder()


@attrs.frozen
class Pushed:
    """One push: `to` is `session`, `uid:<uid>`, `group:<name>` or `all`, `command` the push's id."""

    to: str
    command: int
    value: Any = None
    policy: Policy = attrs.field(default="reliable", eq=False)
    key: Hashable = attrs.field(default=None, eq=False)
    but: tuple[Uid, ...] = attrs.field(default=(), eq=False)
    """The players who were left out."""
    session: FakeSession | None = attrs.field(default=None, eq=False, repr=False)
    """Whose session it was pushed to, where `to` is `session`."""


@attrs.frozen
class Called:
    """One call of a remote; `notify` where nobody waited for a result."""

    name: str
    arguments: tuple[Any, ...] = ()
    to: str | None = None
    key: object = None
    notify: bool = False


def _nothing() -> None:
    """Stand for the handler that runs."""


class FakeContext(Context):
    """Everything that a handler may ask of `ctx`, with a record of what it did.

    `uid` binds `session` (a new FakeSession unless given; `session=None` for remotes and timers). `answers` says what
    calls give, by the remote's name: a value, an exception to raise, or a function of the arguments; as over a channel,
    an attrs object becomes a map. What plugins offer is handed in by name: `FakeContext(db=...)`.
    """

    __slots__ = (
        "_extras",
        "_kernel",
        "_trace",
        "answers",
        "calls",
        "command",
        "deadline",
        "groups",
        "pushes",
        "session",
    )

    def __init__(
        self,
        *,
        uid: Uid | None = None,
        session: FakeSession | types.EllipsisType | None = ...,
        state: Any = None,
        command: str = "test",
        answers: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
        deadline: float | None = None,
        trace: str = "0123456789abcdef",
        **offers: Any,
    ) -> None:
        self._extras = None
        self.pushes: list[Pushed] = []
        """What was pushed, in order, by session, group and uid."""
        self.calls: list[Called] = []
        """The calls and notifies, in order."""
        self.groups: dict[str, list[FakeSession]] = {}
        """The members of each group that somebody joined."""
        self.answers = dict(answers or {})
        if isinstance(session, types.EllipsisType):
            session = FakeSession()
        if session is not None:
            session.record(self._record_push, self.groups)
            if uid is not None:
                session.bind(uid)
        self.session = session
        self.command = Handler(kind="command", name=command, function=_nothing, source="test:1")
        self.deadline = deadline
        self._kernel = _FakeKernel(self, state, clock or StillClock(), offers)  # type: ignore[assignment]
        self._trace = trace

    def join(self, session: FakeSession, *groups: str) -> FakeSession:
        """Put another player's session into groups, and record what is pushed to it."""
        session.record(self._record_push, self.groups)
        for group in groups:
            session.join(group)
        return session

    def pushed(self, push: Push | int) -> list[Any]:
        """Give the values pushed under one id, in order."""
        number = push.id if isinstance(push, Push) else push
        return [pushed.value for pushed in self.pushes if pushed.command == number]

    def _record_push(
        self,
        to: str,
        push: Push | int,
        value: Any,
        policy: Policy | None,
        key: Hashable,
        session: FakeSession | None,
        but: tuple[Uid, ...] = (),
    ) -> None:
        if not isinstance(push, Push):
            push = Push(push)
        WIRE.encode(value)  # raises TypeError for what no codec could send
        self.pushes.append(Pushed(to, push.id, value, policy or push.policy, key, but, session))

    def _note_call(self, called: Called) -> None:
        plain(list(called.arguments))  # raises TypeError for what cannot travel
        self.calls.append(called)

    def _answer(self, called: Called) -> Any:
        self._note_call(called)
        if called.name not in self.answers:
            raise NoSuchMethod(f"{called.name}: give the test's answer by FakeContext(answers={{...}})")
        answer = self.answers[called.name]
        if isinstance(answer, BaseException) or (isinstance(answer, type) and issubclass(answer, BaseException)):
            raise answer
        return plain(answer(*called.arguments) if callable(answer) else answer)


class _Offer:
    """What a plugin offers to `ctx`, as a function of the context."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __call__(self, _context: Context) -> Any:
        return self._value


class _FakeKernel:
    """What a Context asks of its kernel: state, clocks, calls and groups, and nothing that runs."""

    def __init__(self, context: FakeContext, state: Any, clock: Clock, offers: dict[str, Any]) -> None:
        self._context = context
        self.state = state
        self.clock = clock
        self.log = logging.getLogger("firefly.test")
        self.context_offers = {name: _Offer(value) for name, value in offers.items()}
        self.mesh = self
        self.groups = self

    def call(self, name: str, arguments: tuple[Any, ...], *, to: str | None, key: object, **_: Any) -> Any:
        return self._context._answer(Called(name, arguments, to, key))

    def notify(self, name: str, arguments: tuple[Any, ...], *, to: str | None, key: object, **_: Any) -> bool:
        self._context._note_call(Called(name, arguments, to, key, notify=True))
        return True

    def group(self, name: str) -> Group:
        return Group(self, name)  # type: ignore[arg-type]

    def push_to(
        self, uid: Uid | Collection[Uid], push: Push | int, value: Any, *, policy: Policy | None, key: Hashable
    ) -> None:
        for one in [uid] if isinstance(uid, (int, str)) else uid:
            self._context._record_push(f"uid:{one}", push, value, policy, key, None)

    def send(
        self,
        target: dict[str, str],
        push: Push | int,
        value: Any,
        *,
        policy: Policy | None,
        key: Hashable,
        but: Collection[Uid] = (),
    ) -> None:
        to = f"group:{target['group']}" if target else "all"
        self._context._record_push(to, push, value, policy, key, None, tuple(but))

    def members(self, name: str | None) -> list[Uid]:
        if name is None:
            everybody = {session.uid for group in self._context.groups.values() for session in group}
            own = self._context.uid
            return [uid for uid in {*everybody, own} if uid is not None]
        return [session.uid for session in self._context.groups.get(name, ()) if session.uid is not None]
