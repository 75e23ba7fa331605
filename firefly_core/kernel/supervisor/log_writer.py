"""Everything the supervisor writes goes through here: queued within a bound a source, written by a thread of its own.

A terminal that is stopped by Ctrl-S, a slow pipe or a full disk therefore delays neither the supervisor nor a server.
What does not fit is dropped and counted by source.
"""

from __future__ import annotations

import errno
import os
import select
import threading
from collections import Counter, deque
from collections.abc import Sequence

__all__ = ["QUEUE", "LogWriter"]

QUEUE = 1024 * 1024
BATCH = 64 * 1024
GONE = frozenset((errno.EPIPE, errno.EBADF, errno.EIO, errno.ENXIO))


class LogWriter:
    """Writes whole lines to one descriptor, in order."""

    def __init__(self, descriptor: int, *, limit: int = QUEUE) -> None:
        self._descriptor = descriptor
        self._limit = limit
        self._queue: deque[tuple[str, bytes]] = deque()
        self._bytes: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._closing = False
        self._broken = False
        self.trouble = ""
        """What kept lines from being written, the last time."""
        self._lost: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, source: str, text: bytes) -> bool:
        """Queue `text`, whole lines, for writing; False, and its lines are counted, when `source` has no room left."""
        with self._changed:
            if self._broken or self._bytes[source] + len(text) > self._limit:
                self._lost[source] += text.count(b"\n")
                return False
            self._bytes[source] += len(text)
            self._queue.append((source, text))
            self._changed.notify()
        return True

    def lose(self, source: str, lines: int) -> None:
        """Count lines of `source` that were dropped before they got here."""
        with self._changed:
            self._lost[source] += lines

    def take_lost(self) -> dict[str, int]:
        """Give by source how many lines were dropped since the last call."""
        with self._changed:
            lost, self._lost = self._lost, Counter()
        return dict(lost)

    def close(self, timeout: float = 1.0) -> None:
        """Write what is queued, for at most `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        while batch := self._take():
            lost = self.put(batch)
            with self._changed:
                for source, text in batch:
                    self._bytes[source] -= len(text)
                for source, lines in lost:
                    self._lost[source] += lines
        self.ended()

    def put(self, batch: Sequence[tuple[str, bytes]]) -> list[tuple[str, int]]:
        """Write whole lines, on the writer's own thread; gives how many lines of which source were lost."""
        if self._put(b"".join(text for _, text in batch)):
            return []
        return [(source, text.count(b"\n")) for source, text in batch]

    def ended(self) -> None:
        """Release what `put` holds, when nothing more is written."""

    def _take(self) -> list[tuple[str, bytes]]:
        batch: list[tuple[str, bytes]] = []
        size = 0
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            while self._queue and size < BATCH:
                batch.append(self._queue.popleft())
                size += len(batch[-1][1])
        return batch

    def _put(self, text: bytes) -> bool:
        rest = memoryview(text)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # another process made the shared terminal non-blocking
                select.select((), (self._descriptor,), (), 1.0)
            except OSError as error:
                self._broken = error.errno in GONE
                return False
        return True
