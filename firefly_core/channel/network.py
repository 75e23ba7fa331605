"""The real network: non-blocking TCP sockets on the hub's watchers."""

from __future__ import annotations

import _socket
import errno
import logging
import os
from collections.abc import Callable
from typing import Any

import gevent.socket
from gevent import get_hub

from firefly_core.channel.transport import Listener, Transport

__all__ = ["SocketNetwork", "bind_socket"]

READ, WRITE = 1, 2
BACKLOG = 4096
ACCEPT_BATCH = 64
USER_TIMEOUT_MS = 10_000
KEEPALIVE = {_socket.TCP_KEEPIDLE: 15, _socket.TCP_KEEPINTVL: 5, _socket.TCP_KEEPCNT: 3}
log = logging.getLogger("firefly.network")


def _set_options(sock: _socket.socket) -> None:
    """Answer at once, and notice a dead peer; sockets accepted from a listening one inherit all of it."""
    sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        sock.setsockopt(_socket.IPPROTO_TCP, option, value)
    sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


def _written(address: Any) -> str:
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind_socket(host: str, port: int, *, share: bool = False) -> _socket.socket:
    """Give a bound, listening, non-blocking socket; `share` lets several processes listen (SO_REUSEPORT).

    Raises OSError when the address cannot be had.
    """
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    sock = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEPORT, 1)
        _set_options(sock)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


class SocketTransport:
    """A connected TCP socket. Its `recv` and `send` are the socket's own, without a layer between."""

    __slots__ = ("_loop", "_paused", "_reader", "_sock", "_writer", "address", "recv", "send")
    polled = True

    def __init__(self, sock: _socket.socket, address: str, loop: Any) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = loop
        self.address = address
        self.recv: Callable[[int], bytes] = sock.recv
        self.send: Callable[[Any], int] = sock.send
        self._reader: Any = None
        self._writer: Any = None
        self._paused: tuple[Any, ...] | None = None
        """What the reader calls when it goes on; kept only while it does not, for most connections never wait."""

    def start(self, on_readable: Callable[..., Any], *arguments: Any) -> None:
        self._paused = None
        if self._reader is None:
            self._reader = self._loop.io(self._sock.fileno(), READ)
        self._reader.start(on_readable, *arguments)

    def pause(self) -> None:
        if self._reader is not None and self._reader.active:
            self._paused = (self._reader.callback, *self._reader.args)
            self._reader.stop()

    def resume(self) -> None:
        if self._reader is not None and self._paused is not None:
            paused, self._paused = self._paused, None
            self._reader.start(*paused)

    def wait_writable(self, callback: Callable[[], None]) -> None:
        if self._writer is None:
            self._writer = self._loop.io(self._sock.fileno(), WRITE)
        self._writer.start(callback)

    def stop_writable(self) -> None:
        # Given back, not kept: most connections need it once in a burst and then sit idle.
        if self._writer is not None:
            self._writer.stop()
            self._writer.close()
            self._writer = None

    def finish(self) -> None:
        self._sock.shutdown(_socket.SHUT_WR)

    def close(self) -> None:
        # The watchers go before the descriptor: the number may belong to another connection a moment later.
        self.stop_writable()
        if self._reader is not None:
            self._reader.stop()
            self._reader.close()
            self._reader = None
        self._paused = None
        self._sock.close()

    def abort(self) -> None:
        if self._sock.fileno() >= 0:
            self._sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()


class SocketListener:
    """A listening TCP socket. Out of descriptors, it closes who knocks instead of letting him wait."""

    def __init__(self, sock: _socket.socket, on_accept: Callable[[Transport], None]) -> None:
        self._sock = sock
        self._on_accept = on_accept
        self._loop = get_hub().loop
        self._spare: int | None = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._retry = self._loop.timer(0.1)
        self.turned_away = 0
        self.address = _written(sock.getsockname())
        self._reader = self._loop.io(sock.fileno(), READ)
        self._reader.start(self._on_readable)

    def pause(self) -> None:
        self._reader.stop()

    def resume(self) -> None:
        self._reader.start(self._on_readable)

    def close(self) -> None:
        if self._sock.fileno() < 0:
            return
        self._retry.stop()
        self._retry.close()
        self._reader.stop()
        self._reader.close()
        self._sock.close()
        if self._spare is not None:
            _socket.close(self._spare)

    def _on_readable(self) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                descriptor, address = self._sock._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    self._turn_away()
                return
            try:
                sock = _socket.socket(fileno=descriptor)
                self._on_accept(SocketTransport(sock, _written(address), self._loop))
            except Exception:
                log.exception("cannot take a connection from %s", _written(address))

    def _turn_away(self) -> None:
        """Accept and close one connection by means of the spare descriptor, then rest a little.

        By `_socket.close`: gevent's `os.close` puts it off to a later turn of the loop.
        """
        if self.turned_away == 0:
            log.error("out of file descriptors on %s: closing new connections", self.address)
        if self._spare is not None:
            _socket.close(self._spare)
            self._spare = None
        try:
            descriptor, _ = self._sock._accept()  # type: ignore[attr-defined]
            _socket.close(descriptor)
            self.turned_away += 1
        except OSError:
            pass
        try:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.pause()
            self._retry.start(self._after_rest)

    def _after_rest(self) -> None:
        try:
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._retry.stop()
            self._retry.start(self._after_rest)
            return
        self.resume()


class SocketNetwork:
    """TCP on this machine's interfaces."""

    def dial(self, host: str, port: int, *, timeout: float) -> Transport:
        """Connect within `timeout` seconds; blocks the calling greenlet. Raises OSError."""
        sock = gevent.socket.create_connection((host, port), timeout=timeout)
        raw = _socket.socket(fileno=sock.detach())
        _set_options(raw)
        return SocketTransport(raw, _written(raw.getpeername()), get_hub().loop)

    def listen(
        self, host: str, port: int, on_accept: Callable[[Transport], None], *, descriptor: int | None = None
    ) -> Listener:
        """Listen; `descriptor` is a socket that a supervisor has bound already. Raises OSError."""
        sock = bind_socket(host, port) if descriptor is None else _socket.socket(fileno=descriptor)
        if descriptor is not None:
            _set_options(sock)
            sock.setblocking(False)
        return SocketListener(sock, on_accept)
