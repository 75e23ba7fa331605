"""A proxy between a client and its server, which is where lines break."""

from __future__ import annotations

import contextlib
import socket
import sys

import gevent

__all__ = ["Proxy"]


class Proxy:
    """A TCP proxy that can cut its lines, hold them, and turn new ones away."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._lines: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.open = True
        self.deaf = False
        """Whether what the server says is let go."""
        self.frozen = False
        """Whether nothing passes at all."""
        self.pieces = sys.maxsize
        """Pieces of what the server says that a line lets through; then it breaks."""
        self.count = 0
        """Lines that were made."""
        self.sent = b""
        """What clients have sent."""
        self._greenlets = [gevent.spawn(self._accept)]

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if not self.open:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self.count += 1
            self._lines.append((client, server))
            self._greenlets.append(gevent.spawn(self._pump, client, server, True))
            self._greenlets.append(gevent.spawn(self._pump, server, client, False))

    def _pump(self, source: socket.socket, target: socket.socket, upwards: bool) -> None:
        passed = 0
        try:
            while data := source.recv(65536):
                if upwards:
                    self.sent += data
                elif (passed := passed + 1) > self.pieces:
                    break
                while self.frozen:
                    gevent.sleep(0.01)
                if upwards or not self.deaf:
                    target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            end.close()

    def cut(self) -> None:
        """Cut every line."""
        lines, self._lines = self._lines, []
        for line in lines:
            for end in line:
                # Closing alone would wait for the greenlet that reads.
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def close(self) -> None:
        gevent.killall(self._greenlets)
        self.cut()
        self._listener.close()
