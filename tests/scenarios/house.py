"""The channel floor of several servers in one virtual world: roots that can be away, and dialers that come back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import gevent

from firefly_core.channel.deadlines import Deadlines
from firefly_core.channel.dialer import Dialer
from firefly_core.channel.limits import ChannelLimits
from firefly_core.channel.rpc import RpcChannel
from firefly_core.channel.runners import Runners
from firefly_core.channel.transport import Network, Transport
from firefly_core.errors import NoSuchMethod
from firefly_core.testing import MemoryNetwork, World
from firefly_core.wire.hello import Acceptor, Initiator, PeerIdentity

__all__ = ["House"]

SECRET = b"the secret of a simulated world"
PORT = 10_000
Methods = Mapping[str, Callable[..., Any]]


def _ignore(*_: object) -> None:
    return None


class House:
    """One virtual world's channels: `gate-1` is the root, everybody else dials it. `methods` are what each end serves.

    The runners and the deadlines are shared: 500 kernels would look 500 times a turn whether anything is ready.
    """

    def __init__(self, world: World, *, methods: Methods | None = None, limits: ChannelLimits | None = None) -> None:
        self.world = world
        self.network = MemoryNetwork(world.seed)
        self.runners = Runners()
        self.deadlines = Deadlines(world.loop, world.clock)
        self.limits = limits or ChannelLimits()
        self.methods = dict(methods or {})
        self.on_accepted: Callable[[RpcChannel], None] = _ignore
        """Called when a node's hello is complete at the root."""
        self._listener: Any = None
        self._dialers: list[Dialer] = []

    def open(self, on_accept: Callable[[Transport], None] | None = None) -> None:
        """Let the root listen; `on_accept` takes connections instead of it."""
        self.shut()
        self._listener = self.network.host("gate-1").listen("127.0.0.1", PORT, on_accept or self._accept)

    def shut(self) -> None:
        """Let the root listen no more."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def dialer(
        self,
        name: str,
        *,
        on_connected: Callable[[RpcChannel], None] = _ignore,
        on_lost: Callable[[RpcChannel], None] = _ignore,
        network: Network | None = None,
    ) -> Dialer:
        """Start a dialer to the root; `on_lost` hears of every connection that ends, also before its hello."""
        random = Random(f"{self.world.seed} {name}")
        identity = PeerIdentity(name, name.rpartition("-")[0], ("node",), random.getrandbits(64), 1)

        def make(
            transport: Transport,
            *,
            on_ready: Callable[[RpcChannel], None],
            on_lost: Callable[[RpcChannel, str], None],
        ) -> RpcChannel:
            def lost(channel: RpcChannel, reason: str) -> None:
                hear(channel)
                on_lost(channel, reason)

            return self._channel(transport, Initiator(identity, [SECRET], self._nonce(), None), lost, on_ready)

        hear = on_lost
        dialer = Dialer(
            "127.0.0.1",
            PORT,
            network=network or self.network.host(name),
            clock=self.world.clock,
            random=random,
            make_channel=make,
            on_connected=on_connected,
            on_disconnected=_ignore,
        )
        dialer.start()
        self._dialers.append(dialer)
        return dialer

    def plain(self, port: int) -> RpcChannel:
        """Give a channel without a hello to whoever listens at `port`."""
        transport = self.network.host("caller").dial("127.0.0.1", port, timeout=3)
        channel = self._channel(transport, None, _ignore, None)
        channel.start()
        return channel

    def close(self) -> None:
        """End every dialer and the root."""
        for dialer in self._dialers:
            dialer.stop()
        self.shut()
        gevent.sleep(1)
        self.deadlines.close()
        self.runners.close()

    def _accept(self, transport: Transport) -> None:
        random = Random(f"{self.world.seed} gate-1")
        root = PeerIdentity("gate-1", "gate", ("root",), random.getrandbits(64), 1)

        acceptor = Acceptor(root, [SECRET], self._nonce(), None)
        self._channel(transport, acceptor, _ignore, self.on_accepted).start()

    def _channel(
        self,
        transport: Transport,
        hello: Initiator | Acceptor | None,
        on_lost: Callable[[RpcChannel, str], None],
        on_ready: Callable[[RpcChannel], None] | None,
    ) -> RpcChannel:
        return RpcChannel(
            transport,
            self.runners,
            self.deadlines,
            self._dispatch,
            limits=self.limits,
            on_lost=on_lost,
            on_ready=on_ready,
            hello=hello,
            new_trace=lambda: "0" * 16,
        )

    def _dispatch(
        self, channel: RpcChannel, method: str, params: list[Any], _meta: Any, _request_id: int | None
    ) -> Any:
        function = self.methods.get(method)
        if function is None:
            raise NoSuchMethod(method)
        return function(channel, *params)

    def _nonce(self) -> bytes:
        return hashlib.sha256(self.world.random.randbytes(32)).digest()
