"""What one server prints: read as fast as it comes, so that a print never blocks the server, and cut into lines."""

from __future__ import annotations

import contextlib
import fcntl
import os

from firefly_core.kernel.supervisor.log import Log
from firefly_core.kernel.supervisor.loop import Loop

__all__ = ["LogPipe"]

CHUNK = 64 * 1024
LINE = 16 * 1024
PIPE = 1024 * 1024
RATE = 4 * 1024 * 1024


class LogPipe:
    """The reading end of a server's stdout or stderr; whatever exceeds `rate` bytes a second is dropped and counted.

    Lines longer than 16 KiB are cut into several.
    """

    def __init__(self, loop: Loop, log: Log, name: str, descriptor: int, *, rate: int = RATE) -> None:
        self._loop = loop
        self._log = log
        self._name = name
        self._descriptor = descriptor
        self._rate = rate
        self._allowance = float(rate)
        self._refilled = loop.now()
        self._rest = b""
        self.open = True
        os.set_blocking(descriptor, False)
        # A pipe as large as Linux lets everybody have: a server that prints while the supervisor is busy goes on.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE)
        loop.watch(descriptor, self._on_readable)

    def close(self) -> None:
        """Write what is there already, then close, although another process may still hold the other end."""
        for _ in range(PIPE // CHUNK + 1):
            if not self.open or not self._read():
                break
        if self.open:
            self._end()

    def _on_readable(self) -> None:
        self._read()

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._end()
            return False
        self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        now = self._loop.now()
        self._allowance = min(self._rate, self._allowance + (now - self._refilled) * self._rate)
        self._refilled = now
        if len(data) > self._allowance:
            # Counting is a hundred times cheaper than formatting: a flood costs the other servers next to nothing.
            self._log.lose(self._name, data.count(b"\n"))
            self._rest = b""
            return
        self._allowance -= len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > LINE:
            lines.append(self._rest[:LINE])
            self._rest = self._rest[LINE:]
        self._log.lines(self._name, (part for line in lines for part in _cut(line.rstrip(b"\r"))))

    def _end(self) -> None:
        self.open = False
        self._loop.forget(self._descriptor)
        os.close(self._descriptor)
        if self._rest:
            self._log.lines(self._name, _cut(self._rest))
            self._rest = b""


def _cut(line: bytes) -> list[bytes]:
    return [line[start : start + LINE] for start in range(0, len(line), LINE)] or [b""]
