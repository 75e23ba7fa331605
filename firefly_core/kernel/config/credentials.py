"""Credentials: what a `tls://` listener of a root shows, and what those who dial it want to see.

The secret still says who may be a peer; TLS keeps what they say to each other from everybody between them.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path

from firefly_core.channel.tls_network import client_context, server_context
from firefly_core.kernel.config.config import config, key, optional, path
from firefly_core.kernel.config.url import Url

__all__ = ["Credentials"]


@config
class Credentials:
    """The keys of one `tls://` listener: files in PEM.

    Both ends read them from the same firefly.toml, and on a machine of its own each needs its own files only.
    """

    certificate: Path | None = key(
        optional(path()), "tls: the file of the root's certificate and those above it", default=None
    )
    private_key: Path | None = key(
        optional(path()), "tls: the file of its key; absent: it is in the certificate's file", default=None
    )
    authority: Path | None = key(
        optional(path()),
        "tls: the file of the authority; nodes trust a root with a certificate of it for the host of the url, no other",
        default=None,
    )
    node_certificate: Path | None = key(
        optional(path()),
        "tls: the file of the certificate that nodes show; where there is one, the root wants one of the authority",
        default=None,
    )
    node_key: Path | None = key(
        optional(path()), "tls: the file of its key; absent: it is in the certificate's file", default=None
    )

    def problems(self, url: Url) -> Iterable[tuple[str, str]]:
        """Give what is wrong for a listener, by key; a file that lies on another machine is not looked at."""
        given = [name for name in ("certificate", "authority") if getattr(self, name) is not None]
        if url.scheme != "tls":
            for name in given:
                yield name, f"{url} has this and does not use it; say tls://"
            return
        for name in sorted({"certificate", "authority"}.difference(given)):
            yield name, f"{url} needs this"
        if len(given) == 2:
            for name, make in (("certificate", self.serving), ("authority", self.dialing)):
                try:
                    make()
                except FileNotFoundError:
                    pass  # Whoever needs it says so when he starts.
                except OSError as error:
                    yield name, f"{url}: these files cannot be used: {error}"

    def serving(self) -> ssl.SSLContext:
        """Give what the root needs; raises OSError (ssl.SSLError too)."""
        if self.certificate is None:
            raise FileNotFoundError("no certificate is named")
        clients = self.authority if self.node_certificate is not None else None
        return server_context(self.certificate, self.private_key, clients=clients)

    def dialing(self) -> ssl.SSLContext:
        """Give what a node needs; raises OSError (ssl.SSLError too)."""
        if self.authority is None:
            raise FileNotFoundError("no authority is named")
        return client_context(self.authority, certificate=self.node_certificate, key=self.node_key)
