"""A TCP proxy that treats its connections badly: it delays, narrows and resets them; real sockets on both sides."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from random import Random

import gevent
from gevent.queue import Queue

__all__ = ["ChaosProxy"]

RESET = struct.pack("ii", 1, 0)
"""Linger for no time at all: what closes a socket with a reset."""
PIECE = 4096
LANE = 64
"""Pieces under way in one direction; whoever sends more is not read."""
LOST = 0.05
"""How much of what is sent gets lost on a bad link, and comes a retransmission later."""

Pair = tuple[socket.socket, socket.socket]


class ChaosProxy:
    """Carries bytes to `target`, a port of this machine; `delay` and `jitter` are seconds, `rate` is bytes a second.

    With a jitter every twentieth piece comes two ways later, as if it had been lost and sent again.
    """

    def __init__(self, target: int, *, delay: float = 0.0, jitter: float = 0.0, rate: float = 0.0) -> None:
        self._target = target
        self._delay, self._jitter, self._rate = delay, jitter, rate
        self._random = Random(1)
        self._pairs: set[Pair] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = self.resets = 0
        self._greenlet = gevent.spawn(self._accept)

    def reset(self) -> None:
        """Reset every connection, both ways."""
        for pair in list(self._pairs):
            self.resets += 1
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._drop(pair)

    def close(self) -> None:
        """End it, with all connections."""
        self._greenlet.kill()
        self._listener.close()
        for pair in list(self._pairs):
            self._drop(pair)

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=3)
            except OSError:
                near.close()
                continue
            self.connections += 1
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                end.settimeout(None)
            pair = (near, far)
            self._pairs.add(pair)
            gevent.spawn(self._pump, near, far, pair)
            gevent.spawn(self._pump, far, near, pair)

    def _pump(self, source: socket.socket, target: socket.socket, pair: Pair) -> None:
        lane: Queue[tuple[float, bytes] | None] = Queue(LANE)
        gevent.spawn(self._deliver, lane, target, pair)
        leaves = due = 0.0
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE):
                leaves = max(leaves, time.monotonic()) + (len(data) / self._rate if self._rate else 0.0)
                due = max(due, leaves + self._way())
                lane.put((due, data))
        lane.put(None)

    def _deliver(self, lane: Queue[tuple[float, bytes] | None], target: socket.socket, pair: Pair) -> None:
        """Give the pieces of one direction to their target, each when it is due."""
        while piece := lane.get():
            due, data = piece
            if due > time.monotonic():
                gevent.sleep(due - time.monotonic())
            try:
                target.sendall(data)
            except OSError:
                break
        self._drop(pair)
        while piece:
            piece = lane.get()

    def _way(self) -> float:
        """Give the seconds that a piece is on its way."""
        if not self._jitter:
            return self._delay
        way = self._delay + self._random.uniform(-self._jitter, self._jitter)
        return way + 2 * self._delay if self._random.random() < LOST else way

    def _drop(self, pair: Pair) -> None:
        self._pairs.discard(pair)
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
