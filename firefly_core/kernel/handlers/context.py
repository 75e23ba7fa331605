"""The context: what a handler gets as its first argument."""

from __future__ import annotations

import logging
from collections.abc import Collection, Hashable
from typing import TYPE_CHECKING, Any

import msgspec

from firefly_core.channel.clock import Clock
from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.handlers.marks import Policy, Push
from firefly_core.kernel.session import Session, Uid

if TYPE_CHECKING:
    from firefly_core.kernel.groups import Group
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Context", "HandlerContext"]


class Context:
    """One run of one handler. Plugins add attributes to it by the hook `firefly_context` (`ctx.db`)."""

    __slots__ = ()

    command: Handler
    """The handler that runs."""
    session: Session | None
    """Whose command it is; None in remotes, timers, `on_start` and `on_stop`."""
    deadline: float | None
    """When it must be done, by `clock.monotonic()`; None: whenever."""
    _kernel: Kernel
    _trace: str | None
    _extras: dict[str, Any] | None

    @property
    def uid(self) -> Uid | None:
        """The player's uid; None before login, and where there is no session."""
        return self.session.uid if self.session is not None else None

    @property
    def state(self) -> Any:
        """What this server's `@on_start` returned."""
        return self._kernel.state

    @property
    def clock(self) -> Clock:
        """The server's clocks."""
        return self._kernel.clock

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose lines carry server, session, uid, command and trace."""
        fields = {"command": self.command.name, "trace": self.trace}
        if self.session is not None:
            fields |= {"session": str(self.session.id), "uid": str(self.session.uid)}
        return logging.LoggerAdapter(self._kernel.log, {"firefly": fields})

    @property
    def trace(self) -> str:
        """The id that follows this command through every server's log."""
        if self._trace is None:
            self._trace = self._kernel.new_trace()  # type: ignore[misc]  # every class that is made has the slot
        return self._trace

    def remaining(self) -> float | None:
        """Give the seconds that are left; None without a deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - self._kernel.clock.monotonic())

    def call(
        self,
        name: str,
        *arguments: Any,
        timeout: float | None = None,
        to: str | None = None,
        key: object = None,
        wait_for_ready: bool = False,
    ) -> Any:
        """Call a remote and wait for its result, at most `timeout` seconds and never past this handler's deadline.

        Own server first, then a connected one, then one relay through a root. Of several providers the one with the
        fewest calls in flight answers; `key` always picks the same one for the same key, `to` names it (`"ranking-2"`).
        While nobody who could answer is connected it ends Disconnected at once; with `wait_for_ready` it waits for one,
        as long as it may take.

        Raises RemoteError, DeadlineExceeded, Disconnected, Overloaded, NoSuchMethod or NotAuthorized.
        """
        return self._kernel.mesh.call(
            name, arguments, timeout=timeout, to=to, key=key, wait_for_ready=wait_for_ready, context=self
        )

    def notify(self, name: str, *arguments: Any, to: str | None = None, key: object = None) -> bool:
        """Call a remote without waiting for a result. False: it could not be sent."""
        return self._kernel.mesh.notify(name, arguments, to=to, key=key, context=self)

    def group(self, name: str) -> Group:
        """Give the group of that name; it exists as long as it has members."""
        return self._kernel.groups.group(name)

    def push_to(
        self,
        uid: Uid | Collection[Uid],
        push: Push | int,
        value: Any = None,
        *,
        policy: Policy | None = None,
        key: Hashable = None,
    ) -> None:
        """Send something unasked to a player, or to several, wherever they are. To one who is away it is dropped."""
        self._kernel.groups.push_to(uid, push, value, policy=policy, key=key)

    def push_all(
        self,
        push: Push | int,
        value: Any = None,
        *,
        policy: Policy | None = None,
        key: Hashable = None,
        but: Collection[Uid] = (),
    ) -> None:
        """Send something unasked to every player of the cluster, but those."""
        self._kernel.groups.send({}, push, value, policy=policy, key=key, but=but)

    def online(self) -> list[Uid]:
        """Give the uids of all players who are logged in, at every gate that answers; blocks for those elsewhere."""
        return self._kernel.groups.members(None)

    def __getattr__(self, name: str) -> Any:
        extras = self._extras
        if extras is None:
            extras = self._extras = {}  # type: ignore[misc]  # as above
        elif name in extras:
            return extras[name]
        offer = self._kernel.context_offers.get(name)
        if offer is None:
            raise AttributeError(f"ctx has no {name!r}; plugins offer attributes, is theirs in `plugins`?")
        value = extras[name] = offer(self)
        return value


class HandlerContext(Context, msgspec.Struct, eq=False):
    """The context that a kernel makes. It is made once a command: as a msgspec Struct in a third of the time."""

    _kernel: Kernel
    command: Handler
    session: Session | None = None
    deadline: float | None = None
    _trace: str | None = None
    _extras: dict[str, Any] | None = None
