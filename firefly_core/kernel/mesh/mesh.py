"""The mesh: which servers this one is connected to, what they take, and how calls find their way.

1. A root accepts channels, a node dials them; after the hello both hand the channel to `Mesh.connected`.
2. Each side announces its commands and remotes, once its own `@on_start` handlers are done and again after a reload.
3. `call` picks a provider (`Outgoing`): the own server, a connected peer, or one relay through a root.
4. What arrives on a channel comes to `dispatch`: a method of a service (`firefly.*`), a remote, or a relay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gevent

from firefly_core.channel.later import Later
from firefly_core.errors import CallError, Disconnected, NoSuchMethod, NotAuthorized
from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.mesh.outgoing import Outgoing
from firefly_core.kernel.mesh.peer import Peer
from firefly_core.kernel.mesh.providers import NOBODY, Providers, choose
from firefly_core.kernel.mesh.relay import Relay
from firefly_core.kernel.mesh.remotes import run_remote
from firefly_core.wire.hello import PeerIdentity

if TYPE_CHECKING:
    from firefly_core.channel.rpc import RpcChannel
    from firefly_core.kernel.kernel import Kernel

__all__ = ["NODE_ROLE", "Deferred", "Mesh", "Method"]

NODE_ROLE = "node"
HEARD = 1.0
"""Seconds that a peer is given to answer that it has heard an announcement."""
LOOK = 0.01
"""Seconds between two looks whether the roots are connected."""

Method = Callable[..., Any]
"""A service's method: `(peer, *params)`; it runs on a runner and may block."""
Deferred = Callable[..., None]
"""A service's method that answers by a Later: `(peer, later, *params)`; it must not block."""


class Mesh:
    """The peers of one server, by name."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.peers: dict[str, Peer] = {}
        self.methods: dict[str, Method] = {
            "firefly.announce": self._on_announce,
            "firefly.replaced": self._on_replaced,
            "firefly.session": self._on_session,
        }
        """What services answer; names begin with `firefly.`."""
        self.deferred: dict[str, Deferred] = {}
        """Methods that answer when the time has come."""
        self.session_verbs: dict[str, Method] = {}
        """What `firefly.session` can say: gates and nodes add the verbs that they understand."""
        self.listeners: list[Callable[[Peer, bool], None]] = []
        """Called as `(peer, connected)` after a channel was made or lost, and after an announcement."""
        self.providers = Providers(self.peers)
        outgoing = Outgoing(kernel, self)
        self.call = outgoing.call
        """Call a remote wherever it is; see `Outgoing.call`."""
        self.notify = outgoing.notify
        """Call a remote without waiting for its end; see `Outgoing.notify`."""
        self.roles: set[str] = set()
        """What this server is to others; services add theirs before the mesh starts."""
        self.relay = Relay()
        """Passes on what is meant for others."""
        self.expected: set[str] = set()
        """Processes that have not announced since this server started, though firefly.toml says they will."""
        self._open = False
        self._draining = False
        self._full = False

    # ------------------------------------------------------------------------------------------------- peers

    def refusal(self, identity: PeerIdentity) -> str | None:
        """Give the word that a peer is refused with, though it proved who it is; None: it may connect."""
        if identity.name == self._kernel.name:
            return "own_name"
        peer = self.peers.get(identity.name)
        if peer is None or identity.boot_id == peer.boot_id or identity.epoch > peer.epoch:
            return None
        return "old_epoch"

    def identity(self) -> PeerIdentity:
        """Give who this server is, as it says in its hello."""
        kernel = self._kernel
        return PeerIdentity(kernel.name, kernel.server, tuple(sorted(self.roles)), kernel.boot_id, kernel.epoch)

    def connected(self, channel: RpcChannel) -> Peer:
        """Take over a channel whose hello is done; it replaces an older one of the same name at once."""
        identity = channel.peer
        if identity is None:
            raise ValueError("the channel's hello is not done")
        peer = self.peers.setdefault(identity.name, Peer(identity.name))
        old, peer.channel = peer.channel, channel
        if old is not None and not old.closed:
            if peer.boot_id != identity.boot_id:
                old.notify("firefly.replaced", identity.epoch)
            old.close_after_flush("replaced")
        peer.roles = frozenset(identity.roles)
        peer.boot_id, peer.epoch = identity.boot_id, identity.epoch
        peer.announced = False
        if self._open:
            peer.notify("firefly.announce", self._offer())
        self._changed(peer, True)
        self._kernel.plugins.notify("firefly_channel_changed", kernel=self._kernel, peer=peer, connected=True)
        return peer

    def lost(self, channel: RpcChannel) -> None:
        """Note that a channel is gone; harmless for one that was replaced."""
        peer = self.peers.get(channel.peer.name) if channel.peer is not None else None
        if peer is None or peer.channel is not channel:
            return
        peer.channel = None
        # What it offered stays known: its commands are unavailable meanwhile, not unknown.
        peer.announced = False
        self._changed(peer, False)
        self._kernel.plugins.notify("firefly_channel_changed", kernel=self._kernel, peer=peer, connected=False)

    def announce(self, *, draining: bool | None = None, full: bool | None = None) -> None:
        """Tell every peer, now and whenever one connects, what this server takes; and whether it takes new sessions."""
        self._open = True
        self._draining = self._draining if draining is None else draining
        self._full = self._full if full is None else full
        for peer in list(self.peers.values()):
            peer.notify("firefly.announce", self._offer())

    def wait_heard(self, timeout: float) -> bool:
        """Wait until every root that this server dials has heard what it takes; False: `timeout` seconds were over."""
        with gevent.Timeout(timeout, False):  # type: ignore[arg-type]  # the stubs do not know of False
            while self._kernel.links.down:
                gevent.sleep(LOOK)
            self._tell_all(self.providers.roots(NOBODY))
            return True
        return False

    def withdraw(self) -> None:
        """Tell every peer that nothing new is taken, and wait until those that answer have heard it.

        What a peer sends before it has heard of it is read before its answer: afterwards nothing new is on its way.
        """
        self._open = self._draining = True
        self._tell_all([peer for peer in self.peers.values() if peer.connected])

    def _tell_all(self, peers: Sequence[Peer]) -> None:
        """Announce to each, and wait for its answer: it has heard all that was said before, too."""
        offer = self._offer()
        gevent.joinall([gevent.spawn(_tell, peer, offer) for peer in peers])

    @property
    def unfinished(self) -> int:
        """How many requests of peers are not answered yet."""
        return sum(len(peer.channel.running.by_id) for peer in self.peers.values() if peer.channel is not None)

    def _offer(self) -> dict[str, Any]:
        table = self._kernel.handlers
        return {
            "commands": [[h.id, h.name, h.public, h.timeout, h.idempotent] for h in table.commands.values()],
            "remotes": [[h.name, h.timeout, h.idempotent, h.open] for h in table.remotes.values()],
            "draining": self._draining,
            "full": self._full,
        }

    def _on_announce(self, peer: Peer, offer: dict[str, Any]) -> None:
        peer.announce(offer)
        self.expected.discard(peer.name)
        self._changed(peer, True)

    def _on_session(self, peer: Peer, verb: str, *arguments: Any) -> Any:
        return self.session_verbs[verb](peer, *arguments)

    def _on_replaced(self, peer: Peer, epoch: int) -> None:
        """Give up: a newer process has this server's name."""
        self._kernel.give_up(f"{peer.name} talks to epoch {epoch} of {self._kernel.name}; this is {self._kernel.epoch}")

    def _changed(self, peer: Peer, connected: bool) -> None:
        for listener in self.listeners:
            listener(peer, connected)

    # --------------------------------------------------------------------------------------------- receiving

    def dispatch(
        self,
        channel: RpcChannel,
        method: str,
        params: Sequence[Any],
        meta: dict[str, Any] | None,
        request_id: int | None,
    ) -> Any:
        """Run what a peer asks for, on a runner; raises what the peer is told."""
        if method.startswith("firefly."):
            return self._run_method(channel, method, params, meta, request_id)
        handler = self._kernel.handlers.remotes.get(method)
        if handler is not None:
            if channel.peer is None and not handler.open:
                raise NotAuthorized(f"{method} is not open to clients")
            return self._serve(handler, params, meta)
        try:
            peer = self._beyond(channel, method, meta or {})
        except Disconnected as error:
            return self.relay.refuse(channel, error, meta or {}, request_id)
        return self.relay.pass_on(channel, peer, method, params, meta or {}, request_id)

    def _run_method(
        self,
        channel: RpcChannel,
        method: str,
        params: Sequence[Any],
        meta: dict[str, Any] | None,
        request_id: int | None,
    ) -> Any:
        if channel.peer is None:
            raise NotAuthorized("say firefly.hello first")
        peer = self.peers.get(channel.peer.name)
        if peer is None or peer.channel is not channel:
            raise NotAuthorized("this channel was replaced")
        deferred = self.deferred.get(method)
        if deferred is not None:
            later = Later(channel, request_id, meta)
            deferred(peer, later, *params)
            return later
        function = self.methods.get(method)
        if function is None:
            raise NoSuchMethod(method)
        return function(peer, *params)

    def _serve(self, handler: Handler, params: Sequence[Any], meta: dict[str, Any] | None) -> Any:
        meta = meta or {}
        remaining = meta.get("deadline")
        deadline = None if remaining is None else self._kernel.clock.monotonic() + remaining / 1000
        return run_remote(self._kernel, handler, params, deadline=deadline, trace=meta.get("trace"))

    def _beyond(self, channel: RpcChannel, method: str, meta: dict[str, Any]) -> Peer:
        """Choose the connected provider that a call is passed on to: once, never twice.

        Raises Disconnected where a provider is away, or somebody who may be one has not come yet.
        """
        if meta.get("relayed"):
            raise NoSuchMethod(method)
        to = meta.get("to")
        known = self.providers.known(method, to)
        if channel.peer is None and not all(peer.remotes[method].open for peer in known):
            raise NotAuthorized(f"{method} is not open to clients")
        if providers := self.providers.connected(method, to):
            return choose(method, providers, meta.get("key"))
        if known or self.expected:
            raise Disconnected(f"nobody who provides {method} is connected", sent=False)
        raise NoSuchMethod(method)


def _tell(peer: Peer, offer: dict[str, Any]) -> None:
    with contextlib.suppress(CallError):
        peer.call("firefly.announce", offer, timeout=HEARD)
