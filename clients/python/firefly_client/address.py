"""Where a server is, and what is spoken there."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from firefly_client.datapack import Datapack
from firefly_client.json_text import JsonText
from firefly_client.msgpack_frames import MsgpackFrames
from firefly_client.wire import Wire

__all__ = ["Address", "make_wire"]

PORTS = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """A server's URL, taken apart."""

    url: str
    host: str
    port: int
    websocket: bool
    secure: bool

    @classmethod
    def of(cls, url: str) -> Address:
        """Read `tcp://`, `tls://`, `ws://` or `wss://`; raises ValueError."""
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
        if parts.scheme not in ("tcp", "tls", "ws", "wss") or not parts.hostname or port is None:
            raise ValueError(f"a server's address is tcp://host:port, tls://, ws:// or wss://, not {url!r}")
        return cls(url, parts.hostname, port, parts.scheme in ("ws", "wss"), parts.scheme in ("tls", "wss"))

    def context(self, given: ssl.SSLContext | None) -> ssl.SSLContext | None:
        """Give what to connect with: nothing, what was given, or what trusts the system's authorities."""
        if not self.secure:
            return None
        return given or ssl.create_default_context()


def make_wire(protocol: str, header: Sequence[int], error_command: int | None) -> Wire:
    """Make a client's side of a format; raises ValueError for one that is not known."""
    if protocol == "json":
        return JsonText()
    if protocol == "msgpack":
        return MsgpackFrames()
    if protocol == "datapack":
        return Datapack(header, error_command)
    raise ValueError(f'a protocol is "json", "msgpack" or "datapack", not {protocol!r}')
