"""A fake session: what a handler may do with `ctx.session`, recorded."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from typing import Any

from firefly_core.channel.deadlines import Deadline
from firefly_core.kernel.groups import check_group
from firefly_core.kernel.handlers.marks import Policy, Push
from firefly_core.kernel.session import Session, SessionData, Uid, check_reason, check_route, check_uid

__all__ = ["FakeSession"]

Recorder = Callable[[str, Push | int, Any, Policy | None, Hashable, "FakeSession"], None]


class FakeSession(Session):
    """One player's session. `kicked` holds the reason once a handler threw the player out."""

    __slots__ = (
        "_address",
        "_data",
        "_groups",
        "_protocol",
        "_record",
        "closed",
        "id",
        "kicked",
        "routes",
        "timers",
        "uid",
    )

    def __init__(
        self,
        uid: Uid | None = None,
        *,
        id: int | None = None,
        address: str = "127.0.0.1:50000",
        protocol: str = "json",
        data: dict[str, Any] | None = None,
    ) -> None:
        self.id = 1 << 40 | (random.getrandbits(40) if id is None else id)
        self.uid = uid
        self.closed = False
        self.kicked: str | None = None
        self.timers: list[tuple[float, Callable[..., Any], tuple[Any, ...]]] = []
        """The timers that handlers set: seconds, function, arguments."""
        self.routes: dict[str, str | None] = {}
        """Server to process, as the handler routed this session."""
        self._address = address
        self._protocol = protocol
        self._data = SessionData(data)
        self._groups: dict[str, list[FakeSession]] = {}
        self._record: Recorder | None = None

    @property
    def address(self) -> str:
        return self._address

    @property
    def protocol(self) -> str:
        return self._protocol

    @property
    def data(self) -> SessionData:
        return self._data

    def record(self, recorder: Recorder, groups: dict[str, list[FakeSession]]) -> None:
        """Tell a context's record of pushes, and live in its groups."""
        self._record = recorder
        self._groups = groups

    def after(self, seconds: float, function: Callable[..., Any], *arguments: Any) -> Deadline:
        """Record the timer in `timers`; a test calls its function itself."""
        self.timers.append((seconds, function, arguments))
        return Deadline(lambda: None)

    def bind(self, uid: Uid) -> None:
        check_uid(uid)
        if self.uid is not None and self.uid != uid:
            raise ValueError(f"this session is {self.uid!r} already")
        self.uid = uid

    def unbind(self) -> None:
        self.uid = None

    def push(self, push: Push | int, value: Any = None, *, policy: Policy | None = None, key: Hashable = None) -> None:
        if self._record is not None and not self.closed:
            self._record("session", push, value, policy, key, self)

    def kick(self, reason: str) -> None:
        check_reason(reason)
        if self.closed:
            return
        self.kicked = reason
        self.closed = True
        for group in list(self._groups):
            self.leave(group)

    def join(self, group: str) -> None:
        check_group(group)
        members = self._groups.setdefault(group, [])
        if self not in members and not self.closed:
            members.append(self)

    def leave(self, group: str) -> None:
        members = self._groups.get(group, [])
        if self in members:
            members.remove(self)
        if not members:
            self._groups.pop(group, None)

    def route(self, server: str, process: str | None) -> None:
        check_route(server, process)
        self.routes[server] = process
