"""Looks up addresses: names on gevent's threads, as ever; numbers at once, for nothing about them has to be asked.

So ten names that nobody answers for do not keep the eleventh dialer from `127.0.0.1`. And a process that only meets
numbers has no second thread: with one, the C library takes longer over each system call, 2 % of a gate's messages.
"""

from __future__ import annotations

import _socket
from typing import Any

from gevent.resolver.thread import Resolver as ThreadResolver

__all__ = ["Resolver"]

NUMBERS = _socket.AI_NUMERICHOST | _socket.AI_NUMERICSERV


class Resolver(ThreadResolver):
    """The `resolver` of a hub."""

    def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        """As `socket.getaddrinfo`; for a name it blocks the calling greenlet."""
        try:
            return _socket.getaddrinfo(host, port, family, type, proto, flags | NUMBERS)
        except _socket.gaierror:
            found: list[Any] = super().getaddrinfo(host, port, family, type, proto, flags)
            return found
