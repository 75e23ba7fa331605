"""One line over a socket that never blocks, with its framing and what is not written yet."""

from __future__ import annotations

import contextlib
import socket
import ssl

from firefly_client.address import Address
from firefly_client.framing import Framing, HandshakeRefused

__all__ = ["LineLost", "SocketLine", "connect_socket"]

CHUNK = 65536
MAX_UNSENT = 4 * 1024 * 1024
LAST_WORDS = 1.0
"""Seconds that a goodbye may take."""


class LineLost(Exception):
    """The line has ended; the text says why."""


def connect_socket(address: Address, context: ssl.SSLContext | None, timeout: float) -> socket.socket:
    """Connect, TLS included, and give a socket that does not block; raises OSError."""
    connected = socket.create_connection((address.host, address.port), timeout=timeout)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if context is not None:
            connected = context.wrap_socket(connected, server_hostname=address.host)
        connected.setblocking(False)
    except BaseException:
        connected.close()
        raise
    return connected


class SocketLine:
    """A socket, its framing, and a bounded queue of bytes to write."""

    def __init__(self, connected: socket.socket, framing: Framing) -> None:
        self.socket = connected
        self.framing = framing
        self._unsent = bytearray(framing.begin())

    @property
    def unsent(self) -> bool:
        """Whether something waits until the socket takes it."""
        return bool(self._unsent)

    def write(self, messages: list[bytes]) -> None:
        """Have messages written; raises LineLost."""
        for message in messages:
            self._unsent += self.framing.wrap(message)
        self.flush()

    def flush(self) -> None:
        """Write what the socket takes; raises LineLost."""
        self._unsent += self.framing.take_output()
        while self._unsent:
            try:
                sent = self.socket.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as error:
                raise LineLost(error.strerror or "lost") from None
            del self._unsent[:sent]
        if len(self._unsent) > MAX_UNSENT:
            raise LineLost("the server takes nothing")

    def read(self) -> list[bytes]:
        """Give the messages that have come; raises LineLost."""
        messages: list[bytes] = []
        try:
            data: bytes | None = self.socket.recv(CHUNK)
            while data:
                messages += self.framing.receive(data)
                # TLS may hold more than the socket shows.
                data = self.socket.recv(CHUNK) if isinstance(self.socket, ssl.SSLSocket) else None
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return messages
        except OSError as error:
            raise LineLost(error.strerror or "lost") from None
        except HandshakeRefused as error:
            raise LineLost(str(error)) from None
        if data is not None and not messages:
            raise LineLost(self.framing.closed or "end_of_stream")
        return messages

    def close(self, *, polite: bool) -> None:
        """Close it; `polite`: after what is unsent, and with the framing's own goodbye."""
        if polite:
            self._unsent += self.framing.end()
            with contextlib.suppress(OSError):
                self.socket.settimeout(LAST_WORDS)
                self.socket.sendall(self._unsent)
                self.socket.shutdown(socket.SHUT_WR)
        self.socket.close()
