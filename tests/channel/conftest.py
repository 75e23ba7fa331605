"""A house of channels over real loopback sockets: both ends in this process, on one hub."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import gevent
import msgpack
import pytest

from firefly_core.channel.clock import SystemClock
from firefly_core.channel.deadlines import Deadlines
from firefly_core.channel.limits import ChannelLimits
from firefly_core.channel.network import SocketNetwork
from firefly_core.channel.rpc import RpcChannel
from firefly_core.channel.runners import Runners
from firefly_core.channel.transport import Transport
from firefly_core.errors import NoSuchMethod, NotAuthorized
from firefly_core.wire.hello import Acceptor, Initiator, PeerIdentity

SECRET = b"the secret of these tests........"
ROOT = PeerIdentity("gate-1", "gate", ("root",), 11, 1)
NODE = PeerIdentity("world-1", "world", ("node",), 22, 1)
Handlers = dict[str, Callable[..., Any]]


def wait_until(condition: Callable[[], Any], timeout: float = 5.0) -> Any:
    """Wait for a condition and give what it gave."""
    with gevent.Timeout(timeout, AssertionError(f"not in {timeout} s: {condition}")):
        while not (result := condition()):
            gevent.sleep(0.001)
    return result


class Raw:
    """A client that speaks in bytes."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=5)
        self._unpacker = msgpack.Unpacker()

    def send(self, *messages: Any) -> None:
        """Send messages, each packed, or bytes as they are."""
        packed = (message if isinstance(message, bytes) else msgpack.packb(message) for message in messages)
        self.socket.sendall(b"".join(packed))

    def receive(self) -> Any:
        """Give the next message; EOFError when the connection has ended, whichever way."""
        while True:
            for message in self._unpacker:
                return message
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError
            self._unpacker.feed(data)

    def hello(self, initiator: Initiator) -> Any:
        """Say hello as the documentation tells; give the last answer."""
        self.send([0, 0, "firefly.hello", initiator.opening()])
        answer = self.receive()
        if answer[2] is not None:
            return answer
        self.send([0, 1, "firefly.hello", initiator.prove(answer[3])])
        return self.receive()

    def ended(self) -> bool:
        """Whether the other side closes the connection, whatever it says before."""
        while True:
            try:
                self.receive()
            except EOFError:
                return True


class House:
    """Makes channels, and ends them all."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.runners = Runners()
        self.deadlines = Deadlines(gevent.get_hub().loop, self.clock)
        self.network = SocketNetwork()
        self.limits = ChannelLimits()
        self.accepted: list[RpcChannel] = []
        self.lost: list[tuple[RpcChannel, str]] = []
        self.served: Handlers = {}
        self.open: set[str] = set()
        self.accept_options: dict[str, Any] = {}
        self._channels: list[RpcChannel] = []
        self._listeners: list[Any] = []
        self._raw: list[Raw] = []

    def serve(self, handlers: Handlers | None = None, *, open: Sequence[str] = (), **options: Any) -> str:
        """Listen; give the address. `open` names what strangers may call; `options` are those of `channel`."""
        self.served = handlers or {}
        self.open = set(open)
        self.accept_options = {"strangers": bool(open), **options}
        listener = self.network.listen("127.0.0.1", 0, self._on_accept)
        self._listeners.append(listener)
        return str(listener.address)

    def unserve(self) -> None:
        """Listen no more."""
        for listener in self._listeners:
            listener.close()

    def dispatch(self, handlers: Handlers) -> Callable[..., Any]:
        """Give a dispatcher over plain functions `(channel, *params)`; `(channel, call)` for names ending in `_`."""

        def dispatch(channel: RpcChannel, method: str, params: list[Any], meta: Any, request_id: int | None) -> Any:
            handler = handlers.get(method)
            if channel.peer is None and method not in self.open:
                raise NotAuthorized("say hello first")
            if handler is None:
                raise NoSuchMethod(method)
            if method.endswith("_"):
                return handler(channel, params, meta, request_id)
            return handler(channel, *params)

        return dispatch

    def channel(
        self,
        transport: Transport,
        hello: Initiator | Acceptor | None,
        handlers: Handlers,
        *,
        limits: ChannelLimits | None = None,
        on_lost: Callable[[RpcChannel, str], None] | None = None,
        **options: Any,
    ) -> RpcChannel:
        def lost(channel: RpcChannel, reason: str) -> None:
            self.lost.append((channel, reason))
            if on_lost is not None:
                on_lost(channel, reason)

        channel = RpcChannel(
            transport,
            self.runners,
            self.deadlines,
            self.dispatch(handlers),
            limits=limits or self.limits,
            on_lost=lost,
            hello=hello,
            **options,
        )
        self._channels.append(channel)
        return channel

    def initiator(self, secret: bytes = SECRET, identity: PeerIdentity = NODE, accept: Any = None) -> Initiator:
        return Initiator(identity, [secret], os.urandom(32), accept)

    def _on_accept(self, transport: Transport) -> None:
        options = dict(self.accept_options)
        accept = options.pop("accept", None)
        hello = Acceptor(ROOT, [SECRET], os.urandom(32), accept) if options.pop("hello", True) else None
        channel = self.channel(transport, hello, self.served, **options)
        self.accepted.append(channel)
        channel.start()

    def dial(self, address: str, handlers: Handlers | None = None, **options: Any) -> RpcChannel:
        """Give a channel that begins its hello."""
        host, _, port = address.rpartition(":")
        transport = self.network.dial(host, int(port), timeout=3)
        hello = options.pop("hello", None) or self.initiator()
        channel = self.channel(transport, hello, handlers or {}, **options)
        channel.start()
        return channel

    def pair(
        self,
        handlers: Handlers | None = None,
        client_handlers: Handlers | None = None,
        *,
        limits: ChannelLimits | None = None,
        client_limits: ChannelLimits | None = None,
    ) -> tuple[RpcChannel, RpcChannel]:
        """Give both ends of a channel, hello complete: the dialing one first."""
        client = self.dial(self.serve(handlers, limits=limits), client_handlers, limits=client_limits or limits)
        server: RpcChannel = wait_until(lambda: self.accepted and self.accepted[-1])
        wait_until(lambda: client.authenticated and server.authenticated)
        return client, server

    def raw(self, address: str | None = None) -> Raw:
        """Give a client that speaks in bytes."""
        raw = Raw(address or self._listeners[-1].address)
        self._raw.append(raw)
        return raw

    def close(self) -> None:
        for raw in self._raw:
            raw.socket.close()
        self.unserve()
        for channel in self._channels:
            channel.close()
        gevent.sleep(0)
        self.deadlines.close()
        self.runners.close()
        gevent.sleep(0)


@pytest.fixture
def house() -> Iterator[House]:
    """Channels in this process."""
    house = House()
    yield house
    house.close()


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait for a condition: `until(lambda: ...)`."""
    return wait_until


@pytest.fixture
def limits() -> Callable[..., ChannelLimits]:
    """Give limits that differ from the defaults in what is named."""
    return lambda **changes: attrs.evolve(ChannelLimits(), **changes)
