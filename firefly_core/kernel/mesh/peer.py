"""A peer: another server as this one knows it, over the channel that stands just now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from firefly_core.errors import Disconnected

if TYPE_CHECKING:
    from firefly_core.channel.rpc import RpcChannel

__all__ = ["CommandOffer", "Peer", "RemoteOffer"]


@attrs.frozen
class CommandOffer:
    """A command that a peer takes."""

    id: int
    name: str
    public: bool
    timeout: float | None
    idempotent: bool


@attrs.frozen
class RemoteOffer:
    """A remote that a peer provides."""

    name: str
    timeout: float | None
    idempotent: bool
    open: bool


class Peer:
    """Another server. The object lives as long as the name; its channel comes and goes."""

    def __init__(self, name: str) -> None:
        self.name = name
        """The process's name, as in `world-1`."""
        self.server = name.rpartition("-")[0]
        self.roles: frozenset[str] = frozenset()
        self.boot_id = 0
        self.epoch = 0
        self.channel: RpcChannel | None = None
        self.commands: dict[int, CommandOffer] = {}
        self.remotes: dict[str, RemoteOffer] = {}
        self.announced = False
        """Whether it has said what it takes since it connected."""
        self.calls = 0
        """Calls in flight to it."""
        self.draining = False
        self.full = False

    @property
    def connected(self) -> bool:
        """Whether a channel to it stands."""
        return self.channel is not None and not self.channel.closed

    @property
    def pending(self) -> int:
        """Calls and commands that wait for its answer."""
        return self.channel.pending if self.channel is not None else 0

    @property
    def takes_new(self) -> bool:
        """Whether sessions that it does not know yet may be sent to it."""
        # Not by `connected`: it is asked for each command.
        channel = self.channel
        return channel is not None and not channel.closed and not self.draining and not self.full

    def reach(self) -> RpcChannel:
        """Give the channel that stands just now, for `call_later`; raises Disconnected where there is none."""
        if self.channel is None:
            raise Disconnected(f"{self.name} is not connected", sent=False)
        return self.channel

    def call(self, method: str, *params: Any, timeout: float = 10.0, meta: dict[str, Any] | None = None) -> Any:
        """Call and wait for the result; raises CallError."""
        channel = self.reach()
        self.calls += 1
        try:
            return channel.call(method, *params, timeout=timeout, meta=meta)
        finally:
            self.calls -= 1

    def notify(self, method: str, *params: Any, meta: dict[str, Any] | None = None) -> bool:
        """Send without waiting. False: it was not sent."""
        return self.channel is not None and self.channel.notify(method, *params, meta=meta)

    def announce(self, offer: dict[str, Any]) -> None:
        """Take over what the peer says of itself; raises TypeError or ValueError for what is none."""
        self.commands = {fields[0]: CommandOffer(*fields) for fields in offer["commands"]}
        self.remotes = {fields[0]: RemoteOffer(*fields) for fields in offer["remotes"]}
        self.draining = bool(offer.get("draining"))
        self.full = bool(offer.get("full"))
        self.announced = True
