"""A door: one listener of a gate, with what all its connections share."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from firefly_core.channel.tls import TlsTransport
from firefly_core.channel.transport import Listener, Transport
from firefly_core.kernel.config.config import Listen
from firefly_core.kernel.handlers.handlers import HandlerTable
from firefly_core.wire.protocol import Limits, Protocol
from firefly_gate.builtins import builtins
from firefly_gate.commands import Command, command_table
from firefly_gate.deflate_layer import DeflateLayer
from firefly_gate.proxy import ProxyHeader
from firefly_gate.websocket import WebSocketLayer

if TYPE_CHECKING:
    from firefly_gate.gate import Gate

__all__ = ["Door", "listen_problems"]

SECURE = ("tls", "wss")
SOCKETS = ("ws", "wss")


class Door:
    """One listener: its protocol, codec and table of commands."""

    def __init__(self, gate: Gate, listen: Listen) -> None:
        if listen.protocol is None:
            raise ValueError(f"{listen.url} has no protocol")
        self._gate = gate
        self._listen = listen
        self._protocol: type[Protocol] = listen.protocol
        self.answers_always = listen.protocol.answers_always
        """Whether a request without an id is answered: read once a command, and here it costs a fifth."""
        self.compression = listen.own.compression
        """Whether its clients may agree on compressing messages, so that they may differ in how a push is framed."""
        self._listener: Listener | None = None
        self.codec = gate.kernel.plugins.codecs[listen.codec]
        self._stranger = Limits(min(gate.config.login_frame, gate.config.max_frame))
        self._player = Limits(gate.config.max_frame)
        self._tls = tls_context(listen)
        self.commands: dict[int | str, Command] = {}
        self._names: dict[str, int] = {}

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`; raises RuntimeError before `open`."""
        if self._listener is None:
            raise RuntimeError("the door is not open")
        return self._listener.address

    @property
    def turned_away(self) -> int:
        """Connections closed at once because the process had no descriptor left."""
        return self._listener.turned_away if self._listener is not None else 0

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"{self._listen.url.scheme}://{self.address}{self._listen.url.path}"

    def open(self) -> None:
        """Begin to accept; raises OSError when the address cannot be had."""
        kernel = self._gate.kernel
        host, port = self._listen.address(kernel.replica)
        descriptor = kernel.descriptors.get(str(self._listen.url))
        self._listener = kernel.network.listen(host, port, self._on_accept, descriptor=descriptor)

    def close(self) -> None:
        """Accept nobody any more."""
        if self._listener is not None:
            self._listener.close()

    def prepare(self, handlers: HandlerTable) -> Callable[[], None]:
        """Look at which commands this server, with these handlers, and its peers take; calling the result counts it."""
        kernel = self._gate.kernel
        commands = command_table(kernel, handlers, self.codec, self._gate.config.timeout)
        for key, command in builtins(self._gate, resumable=self._protocol.resumable).items():
            commands.setdefault(key, command)
        names = {command.name: command.id for command in commands.values()}
        names |= {push.name: push.id for push in handlers.pushes.values()}

        def commit() -> None:
            self.commands = commands
            self._names.clear()
            self._names.update(names)

        return commit

    def limits(self, *, logged_in: bool) -> Limits:
        """Give the limits of a player, or of somebody who has not logged in."""
        return self._player if logged_in else self._stranger

    def wire(self) -> Protocol:
        """Give a new connection's side of the protocol."""
        stream = self._listen.url.scheme not in SOCKETS
        return self._protocol(self._listen.settings, self._stranger, stream=stream, names=self._names)

    def layer(self) -> WebSocketLayer | None:
        """Give a new connection's WebSocket layer; None on TCP."""
        if self._listen.url.scheme not in SOCKETS:
            return None
        layer = DeflateLayer if self.compression else WebSocketLayer
        return layer(self._stranger, path=self._listen.url.path or "/", origins=self._listen.own.origins)

    def error_body(self, code: str, message: str) -> bytes:
        """Give `{"error": {code, message}}` in this door's codec; raw bodies carry it as JSON."""
        error = {"error": {"code": code, "message": message}}
        try:
            return self.codec.encode(error)
        except TypeError:
            return msgspec.json.encode(error)

    def _on_accept(self, transport: Transport) -> None:
        if not self._listen.own.proxy:
            self._enter(transport)
        elif self._gate.admission.is_exempt(transport.address):
            ProxyHeader(transport, self._gate.kernel.deadlines, self._gate.config.frame_timeout, self._enter)
        else:
            # Anybody else could claim to be anybody.
            self._gate.counts.refused += 1
            transport.close()

    def _enter(self, transport: Transport) -> None:
        if self._tls is not None:
            limit = self._gate.config.frame_timeout
            transport = TlsTransport(transport, self._tls, self._gate.kernel.deadlines, timeout=limit)
        self._gate.accept(self, transport)


def tls_context(listen: Listen) -> ssl.SSLContext | None:
    """Give what a `tls` or `wss` listener needs, None for others; raises OSError or ssl.SSLError for bad files."""
    if listen.url.scheme not in SECURE:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(listen.own.certificate, listen.own.private_key)
    return context


def listen_problems(listen: Listen) -> Iterable[str]:
    """Give what does not fit together in a listener: its scheme, its certificate, compression."""
    if listen.own.compression and listen.url.scheme not in SOCKETS:
        yield f"{listen.url} has no compression; only ws:// and wss:// have"
    if listen.url.scheme not in SECURE:
        if listen.own.certificate is not None:
            yield f"{listen.url} has a certificate and does not use it; say tls:// or wss://"
    elif listen.own.certificate is None:
        yield f"{listen.url} needs a certificate"
    else:
        try:
            tls_context(listen)
        except OSError as error:
            yield f"{listen.url}: its certificate and key cannot be used: {error}"
