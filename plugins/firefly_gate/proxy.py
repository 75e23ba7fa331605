"""PROXY protocol, version 2: a trusted proxy says, before anything else, who its client is.

The format is HAProxy's `proxy-protocol.txt`, section 2.2: twelve bytes of signature, version and command, family, the
length of what follows (u16), then the addresses. TLVs behind them are ignored; UNIX and LOCAL name nobody.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable

from firefly_core.channel.deadlines import Deadlines
from firefly_core.channel.transport import Transport
from firefly_core.errors import ProtocolError

__all__ = ["ProxyHeader", "parse_addresses"]

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FIXED = 16
LONGEST = 1024
"""Bytes behind the fixed part at most; addresses take 36, the rest are TLVs."""
LOCAL, PROXY = 0x20, 0x21
FAMILIES = {0x11: (ipaddress.IPv4Address, 4), 0x21: (ipaddress.IPv6Address, 16)}


def parse_fixed(data: bytes) -> int:
    """Check the first sixteen bytes and give the length of what follows; raises ProtocolError."""
    if not data.startswith(SIGNATURE):
        raise ProtocolError("bad_proxy", "not a PROXY protocol header of version 2")
    command, _, length = struct.unpack_from("!BBH", data, len(SIGNATURE))
    if command not in (LOCAL, PROXY) or length > LONGEST:
        raise ProtocolError("bad_proxy", "an unknown command, or too long")
    return int(length)


def parse_addresses(fixed: bytes, rest: bytes) -> str | None:
    """Give the client's address as `host:port`; None where the proxy speaks for itself. Raises ProtocolError."""
    command, family, _ = struct.unpack_from("!BBH", fixed, len(SIGNATURE))
    if command == LOCAL or family not in FAMILIES:
        return None
    kind, size = FAMILIES[family]
    if len(rest) < 2 * size + 4:
        raise ProtocolError("bad_proxy", "shorter than its addresses")
    host = kind(rest[:size])
    (port,) = struct.unpack_from("!H", rest, 2 * size)
    return f"[{host}]:{port}" if size > 4 else f"{host}:{port}"


class ProxyHeader:
    """Reads the header of one connection, exactly and no byte more, then hands the connection on."""

    def __init__(
        self, transport: Transport, deadlines: Deadlines, timeout: float, on_done: Callable[[Transport], None]
    ) -> None:
        self._transport = transport
        self._on_done = on_done
        self._data = b""
        self._need = FIXED
        self._deadline = deadlines.arm(timeout, transport.close)
        transport.start(self._on_readable)

    def _on_readable(self) -> None:
        try:
            data = self._transport.recv(self._need - len(self._data))
            if not data:
                raise ProtocolError("bad_proxy", "ended within its header")
            self._data += data
            if len(self._data) == FIXED:
                self._need = FIXED + parse_fixed(self._data)
            if len(self._data) < self._need:
                return
            address = parse_addresses(self._data[:FIXED], self._data[FIXED:])
        except BlockingIOError:
            return
        except (OSError, ProtocolError):
            self._deadline.cancel()
            self._transport.close()
            return
        self._deadline.cancel()
        self._transport.pause()
        if address is not None:
            self._transport.address = address
        self._on_done(self._transport)
