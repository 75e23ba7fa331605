"""Frames on their way to the peer: batched, bounded, and withdrawn as long as the socket has not got them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firefly_core.channel.limits import ChannelLimits
from firefly_core.channel.stream import Stream

__all__ = ["Outbox"]

BATCH = 262_144
"""Bytes joined for one write when much waits."""


class Outbox:
    """Collects the frames of a loop turn and gives them to the stream together.

    While the stream waits for the peer, the frames stay here, where each can be counted, and withdrawn. A frame's
    position is `first + len(frames)` at the moment before it is added; all positions below `first` have been handed to
    the socket.
    """

    __slots__ = (
        "_flush_bytes",
        "_flush_frames",
        "_limits",
        "_run_callback",
        "_scheduled",
        "_stream",
        "first",
        "frames",
        "full",
        "size",
    )

    def __init__(self, stream: Stream, limits: ChannelLimits, run_callback: Callable[..., Any]) -> None:
        self._stream = stream
        self._limits = limits
        self._flush_frames = limits.flush_frames
        self._flush_bytes = limits.flush_bytes
        self._run_callback = run_callback
        self._scheduled = False
        self.frames: list[bytes] = []
        self.size = 0
        """Bytes in `frames`."""
        self.first = 0
        self.full = False
        """Whether the peer is so far behind that nothing new should be added."""
        stream.when_drained(self.flush)

    def add(self, frame: bytes) -> None:
        """Send `frame` with the others of this turn."""
        frames = self.frames
        frames.append(frame)
        self.size += len(frame)
        if not self._scheduled:
            self._scheduled = True
            self._run_callback(self._flush_scheduled)
        elif len(frames) >= self._flush_frames or self.size >= self._flush_bytes:
            self.flush()

    def withdraw(self, position: int) -> bool:
        """Take back the frame at `position`; False when the socket has it."""
        index = position - self.first
        if index < 0:
            return False
        self.size -= len(self.frames[index])
        self.frames[index] = b""
        return True

    def flush(self) -> None:
        """Hand to the stream what it takes."""
        stream = self._stream
        frames = self.frames
        while frames and not stream.closed:
            if stream.queued:
                self._bound()
                return
            if self.size <= BATCH:
                count = len(frames)
                data = b"".join(frames)
                frames.clear()
            else:
                count, data = self._take_batch()
            self.size -= len(data)
            self.first += count
            if data:
                stream.write(data)
        self.full = False

    def _take_batch(self) -> tuple[int, bytes]:
        count = size = 0
        for frame in self.frames:
            count += 1
            size += len(frame)
            if size >= BATCH:
                break
        data = b"".join(self.frames[:count])
        del self.frames[:count]
        return count, data

    def _bound(self) -> None:
        count, size, limits = len(self.frames), self.size, self._limits
        self.full = count >= limits.outbox_frames or size >= limits.outbox_bytes
        if count > 2 * limits.outbox_frames or size > 2 * limits.outbox_bytes:
            self._stream.close("slow_consumer")

    def _flush_scheduled(self) -> None:
        self._scheduled = False
        self.flush()
