"""Outgoing: how a call of a handler finds a provider, and what becomes of it where the first one cannot answer."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event

from firefly_core.errors import CallError, DeadlineExceeded, Disconnected, NoSuchMethod
from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.mesh.peer import Peer, RemoteOffer
from firefly_core.kernel.mesh.providers import NOBODY, choose
from firefly_core.kernel.mesh.relay import HOP
from firefly_core.kernel.mesh.remotes import plain, run_remote

if TYPE_CHECKING:
    from firefly_core.kernel.handlers.context import Context
    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.mesh.mesh import Mesh

__all__ = ["Outgoing"]

ATTEMPTS = 3
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
"""Seconds between two looks of a call that waits for somebody who can answer."""


class Outgoing:
    """The calls that a server's handlers make."""

    def __init__(self, kernel: Kernel, mesh: Mesh) -> None:
        self._kernel = kernel
        self._mesh = mesh
        self._providers = mesh.providers

    def call(
        self,
        name: str,
        arguments: Sequence[Any],
        *,
        timeout: float | None = None,
        to: str | None = None,
        key: object = None,
        wait_for_ready: bool = False,
        context: Context | None = None,
    ) -> Any:
        """Call a remote wherever it is, and give its result; see `Context.call`."""
        if wait_for_ready:
            return self._call_when_ready(name, arguments, timeout, to, key, context)
        own = self._kernel.handlers.remotes.get(name)
        if own is not None and to in (None, self._kernel.name, self._kernel.server) and key is None:
            return self._call_here(own, arguments, self._timeout(timeout, own.timeout, context), context)
        params = plain(list(arguments))
        now = self._kernel.clock.monotonic
        ends: float | None = None
        attempts = 0
        asked = ignorant = NOBODY
        while True:
            peer, offer = self._provider(name, to, key, asked, ignorant)
            meta = self._meta(context, to, key, direct=offer is not None)
            wait = self._timeout(timeout, offer.timeout if offer is not None else None, context)
            if ends is None:
                ends = now() + wait
            else:
                # A second try has what the first one has left.
                wait = min(wait, ends - now())
            try:
                return peer.call(name, *params, timeout=wait, meta=meta)
            except NoSuchMethod:
                asked |= {peer.name}
                ignorant |= {peer.name}
                if offer is not None or not self._providers.roots(ignorant):
                    self._say_missing(name, offer)
                    raise
            except Disconnected as error:
                asked |= {peer.name}
                attempts += 1
                again = not error.sent or (offer is not None and offer.idempotent)
                if not again or attempts == ATTEMPTS:
                    raise

    def _call_when_ready(
        self,
        name: str,
        arguments: Sequence[Any],
        timeout: float | None,
        to: str | None,
        key: object,
        context: Context | None,
    ) -> Any:
        """Call as soon as somebody can answer, within the time that the call may take."""
        known = self._providers.known(name, to)
        now = self._kernel.clock.monotonic
        ends = now() + self._timeout(timeout, known[0].remotes[name].timeout if known else None, context)
        pause = FIRST_PAUSE
        while True:
            try:
                return self.call(name, arguments, timeout=ends - now(), to=to, key=key, context=context)
            except Disconnected as error:
                left = ends - now()
                if error.sent or left <= pause:
                    raise
                self._wait_change(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _wait_change(self, seconds: float) -> None:
        """Wait until a peer comes, goes or announces; not for long, because roots have peers that are not ours."""
        changed = Event()

        def listener(_peer: Peer, _connected: bool) -> None:
            changed.set()

        self._mesh.listeners.append(listener)
        try:
            changed.wait(seconds)
        finally:
            self._mesh.listeners.remove(listener)

    def notify(
        self,
        name: str,
        arguments: Sequence[Any],
        *,
        to: str | None = None,
        key: object = None,
        context: Context | None = None,
    ) -> bool:
        """Call a remote without waiting for its end; see `Context.notify`."""
        own = self._kernel.handlers.remotes.get(name)
        if own is not None and to in (None, self._kernel.name, self._kernel.server) and key is None:
            self._kernel.runners.run(self._call_here, own, plain(list(arguments)), self._default, None)
            return True
        try:
            peer, offer = self._provider(name, to, key, NOBODY, NOBODY)
        except CallError:
            return False
        if offer is None and self._providers.roots({peer.name}):
            # Only an answer tells which root knows a provider.
            self._kernel.runners.run(self._call_unheard, name, plain(list(arguments)), to, key)
            return True
        meta = self._meta(context, to, key, direct=offer is not None)
        return peer.notify(name, *plain(list(arguments)), meta=meta)

    def _call_here(self, handler: Handler, arguments: Sequence[Any], wait: float, context: Context | None) -> Any:
        deadline = self._kernel.clock.monotonic() + wait
        trace = context.trace if context is not None else None
        timer = gevent.Timeout(wait)
        with timer:
            try:
                return run_remote(self._kernel, handler, plain(list(arguments)), deadline=deadline, trace=trace)
            except gevent.Timeout as expired:
                if expired is not timer:
                    raise
                raise DeadlineExceeded(f"{handler.name} took longer than {wait:.3f} s") from None

    def _call_unheard(self, name: str, arguments: Sequence[Any], to: str | None, key: object) -> None:
        with contextlib.suppress(CallError):
            self.call(name, arguments, to=to, key=key)

    @property
    def _default(self) -> float:
        """The seconds that a call may take where nobody says so."""
        return self._kernel.links.limits.timeout

    def _timeout(self, asked: float | None, offered: float | None, context: Context | None) -> float:
        """Give the seconds a call may take: never past the deadline of the handler that makes it."""
        wait = asked if asked is not None else offered if offered is not None else self._default
        if context is not None and context.deadline is not None:
            left = context.deadline - self._kernel.clock.monotonic() - HOP
            if left < wait:
                wait = left
        if wait <= 0:
            raise DeadlineExceeded("no time is left")
        return wait

    def _meta(self, context: Context | None, to: str | None, key: object, *, direct: bool) -> dict[str, Any]:
        meta: dict[str, Any] = {}
        if context is not None:
            meta["trace"] = context.trace
        if not direct:
            meta |= {"to": to} if to is not None else {}
            meta |= {"key": str(key)} if key is not None else {}
        return meta

    def _provider(
        self, name: str, to: str | None, key: object, asked: frozenset[str], ignorant: frozenset[str]
    ) -> tuple[Peer, RemoteOffer | None]:
        """Choose whom to ask, somebody new if there is one, and nobody ignorant; without an offer a root will relay."""
        providers = self._providers.connected(name, to)
        if providers:
            fresh = [peer for peer in providers if peer.name not in asked] if asked else providers
            peer = choose(name, fresh or providers, key)
            return peer, peer.remotes[name]
        if to is not None and (named := self._mesh.peers.get(to)) is not None and named.connected and named.announced:
            raise NoSuchMethod(f"{to} does not provide {name}")
        roots = self._providers.roots(asked) or self._providers.roots(ignorant)
        if roots:
            return choose(name, roots, key), None
        if self._mesh.expected or any(not peer.connected for peer in self._mesh.peers.values()):
            raise Disconnected(f"nobody who could answer {name} is connected", sent=False)
        raise NoSuchMethod(name)

    def _say_missing(self, name: str, offer: RemoteOffer | None) -> None:
        """Raise Disconnected where a root is away that might have known a provider."""
        if offer is None and self._kernel.links.down:
            raise Disconnected(f"nobody who could answer {name} is connected", sent=False)
