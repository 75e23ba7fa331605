"""Networks whose connections are encrypted, and the contexts that say whom to trust."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from firefly_core.channel.deadlines import Deadlines
from firefly_core.channel.tls import HANDSHAKE_TIMEOUT, TlsTransport
from firefly_core.channel.transport import Listener, Network, Transport

__all__ = ["TlsNetwork", "client_context", "server_context"]


File = str | Path


def _bounded(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def server_context(certificate: File, key: File | None = None, *, clients: File | None = None) -> ssl.SSLContext:
    """Give a server's context from PEM files; with `clients` each client must have a certificate of that authority.

    Without `key` it stands in the certificate's file.

    Raises OSError (ssl.SSLError too) for files that cannot be read or do not fit.
    """
    context = _bounded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.load_cert_chain(certificate, key)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(authority: File, *, certificate: File | None = None, key: File | None = None) -> ssl.SSLContext:
    """Give a dialer's context: it takes servers with a certificate of `authority` for the name that it dials.

    Raises OSError (ssl.SSLError too) for files that cannot be read or do not fit.
    """
    context = _bounded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context.load_verify_locations(authority)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


class TlsNetwork:
    """A Network whose connections are encrypted; `server` and `client` are the contexts of the two ends.

    A handshake that has not ended after `timeout` seconds ends its connection.
    """

    def __init__(
        self,
        below: Network,
        deadlines: Deadlines,
        *,
        server: ssl.SSLContext | None = None,
        client: ssl.SSLContext | None = None,
        timeout: float = HANDSHAKE_TIMEOUT,
    ) -> None:
        self._below = below
        self._timeout = timeout
        self._deadlines = deadlines
        self._server = server
        self._client = client

    def dial(self, host: str, port: int, *, timeout: float) -> Transport:
        """Connect; the certificate must be for `host`. The handshake follows when the stream starts."""
        if self._client is None:
            raise ValueError("this network has no context to dial with")
        below = self._below.dial(host, port, timeout=timeout)
        return TlsTransport(below, self._client, self._deadlines, server_name=host, timeout=self._timeout)

    def listen(
        self, host: str, port: int, on_accept: Callable[[Transport], None], *, descriptor: int | None = None
    ) -> Listener:
        """Listen; each connection that is accepted begins with a handshake when its stream starts."""
        context = self._server
        if context is None:
            raise ValueError("this network has no context to listen with")

        def accept(transport: Transport) -> None:
            on_accept(TlsTransport(transport, context, self._deadlines, timeout=self._timeout))

        return self._below.listen(host, port, accept, descriptor=descriptor)
