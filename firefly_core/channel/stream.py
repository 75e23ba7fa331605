"""One connection, driven by the hub: no greenlet of its own, one reader, one writer, every buffer bounded.

Reading: a watcher puts the stream on the runners' ready list; what is there is read, and a runner takes it to the
receiver. Writing: what is written is sent at once, answers together with those of other streams; what the peer does not
take waits in a bounded queue that a write watcher drains.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Protocol

from greenlet import greenlet

from firefly_core.channel.deadlines import Deadline, Deadlines
from firefly_core.channel.limits import StreamLimits
from firefly_core.channel.runners import Receiver, Runners
from firefly_core.channel.send_queue import SendQueue
from firefly_core.channel.transport import Transport, word_of

__all__ = ["NOBODY", "Stream", "StreamReceiver"]

log = logging.getLogger("firefly.stream")
SMALL_CHUNK = 448
"""Bytes read at once from a peer that sends little: an object of at most 512 bytes costs 0.1 us less to make."""
SEND_BATCH = 65536
LINGER = 1.0
_BY_RECEIVER, _BY_QUEUE = 1, 2


class StreamReceiver(Receiver, Protocol):
    """Whose stream it is."""

    def on_close(self, reason: str) -> None:
        """Note that the stream has ended, once; called where it ended, so it must neither block nor raise."""


class Nobody:
    """Whose a stream is that has ended: nothing more is heard of it."""

    def on_data(self, data: bytes) -> None:
        """Let it go."""

    def on_blocked(self, runner: greenlet) -> None:
        """Never happens."""

    def on_close(self, reason: str) -> None:
        """Let it go."""


NOBODY = Nobody()


class Stream:
    """One connection. `receiver` hears what arrives (on a runner) and, once, why it ended; then it is nobody's."""

    __slots__ = (
        "_answer",
        "_chunk",
        "_deadlines",
        "_drained",
        "_limits",
        "_paused",
        "_queue",
        "_recv",
        "_runners",
        "_send",
        "_timeout",
        "_transport",
        "closed",
        "receiver",
    )

    def __init__(
        self,
        transport: Transport,
        runners: Runners,
        deadlines: Deadlines,
        receiver: StreamReceiver,
        limits: StreamLimits,
    ) -> None:
        self._transport = transport
        self._recv = transport.recv
        self._send = transport.send
        self._runners = runners
        self._deadlines = deadlines
        self._limits = limits
        self._chunk = SMALL_CHUNK
        self.receiver: StreamReceiver = receiver
        self._answer: bytes | None = None
        """What is held for a moment, until others have their answers ready too."""
        self._queue: SendQueue | None = None
        self._timeout: Deadline | None = None
        self._drained: Callable[[], None] | None = None
        self._paused = 0
        self.closed = False

    @property
    def address(self) -> str:
        """The peer's address."""
        return self._transport.address

    @property
    def queued(self) -> int:
        """Bytes that wait for the peer."""
        return self._queue.size if self._queue is not None else 0

    def start(self) -> None:
        """Begin to read."""
        # A callback of the loop runs after the drain of its turn, so there the loop must be told to come back.
        runners = self._runners
        self._transport.start(runners.arrived if self._transport.polled else runners.put, self)

    # ------------------------------------------------------------------------------------------------ reading

    def pause_reading(self) -> None:
        """Read nothing until `resume_reading`; what arrives waits with the peer."""
        self._pause(_BY_RECEIVER)

    def resume_reading(self) -> None:
        """Read again."""
        self._resume(_BY_RECEIVER)

    def _pause(self, reason: int) -> None:
        if not self._paused:
            self._transport.pause()
        self._paused |= reason

    def _resume(self, reason: int) -> None:
        if self._paused:
            self._paused &= ~reason
            if not self._paused and not self.closed:
                self._transport.resume()

    def read(self) -> bytes | None:
        """Take what is there, once; None when there is nothing. What comes after the end is nobody's."""
        try:
            data = self._recv(self._chunk)
        except BlockingIOError:
            return None
        except OSError as error:
            self.close(word_of(error))
            return None
        except Exception:
            # It would take the hub with it, and all that has been read in this turn.
            log.exception("cannot read from %s", self.address)
            self.close("internal")
            return None
        if not data:
            self.close("end_of_stream")
            return None
        self._chunk = SMALL_CHUNK if len(data) < SMALL_CHUNK else self._limits.chunk
        return data

    # ------------------------------------------------------------------------------------------------ writing

    def write(self, data: bytes) -> bool:
        """Send `data`, behind what `write_answer` holds, or queue what the peer does not take now.

        Never blocks and never raises; False when the stream is closed. A peer whose queue grows over `max_queue` is
        closed as `slow_consumer`.
        """
        if self.closed:
            self._answer = None
            return False
        if self._answer is not None:
            data, self._answer = self._answer + data, None
        elif not data:
            return True
        if self._queue is not None:
            self._queue.append(data)
            return self._bounded()
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close("lost")
            return False
        if sent < len(data):
            self._enqueue(data[sent:])
            return self._bounded()
        return True

    def write_answer(self, data: bytes) -> None:
        """Send `data` soon, when others have their answers ready too; it keeps its place before later writes."""
        held = self._answer
        if held is not None:
            if len(held) < SEND_BATCH:
                self._answer = held + data
            else:
                self.write(data)
            return
        self._answer = data
        runners = self._runners
        if runners.serving:
            # Not by `write_soon`: a call less for each message.
            runners.writers.append(self)
        else:
            runners.write_soon(self)

    def write_droppable(self, data: bytes) -> bool:
        """Send `data` if nothing waits before it; else let it go. False: it was let go."""
        if self._queue is not None or self.closed:
            return False
        return self.write(data)

    def write_latest(self, data: bytes, key: Hashable) -> bool:
        """Send `data`; where the peer is behind, in the place of the unsent piece of the same `key`."""
        if self._queue is None or self.closed:
            return self.write(data)
        self._queue.append(data, key)
        return self._bounded()

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the hub each time the peer has taken all that waited; it must not block or raise."""
        self._drained = callback

    def _bounded(self) -> bool:
        if self._queue is not None and self._queue.weight > self._limits.max_queue:
            self.close("slow_consumer")
            return False
        return True

    def _enqueue(self, rest: bytes) -> None:
        self._queue = SendQueue(rest)
        if self._limits.pause_when_queued:
            self._pause(_BY_QUEUE)
        self._timeout = self._deadlines.arm(self._limits.send_timeout, self._on_stuck)
        self._transport.wait_writable(self._on_writable)

    def _on_writable(self) -> None:
        queue = self._queue
        if queue is None:
            return
        try:
            sent = self._send(queue.join(SEND_BATCH))
        except BlockingIOError:
            return
        except OSError:
            self._abandon("lost")
            return
        queue.sent(sent)
        if self._timeout is not None:
            self._timeout.cancel()
        if queue:
            self._timeout = self._deadlines.arm(self._limits.send_timeout, self._on_stuck)
        else:
            self._on_drained()

    def _on_drained(self) -> None:
        self._queue = self._timeout = None
        self._transport.stop_writable()
        self._resume(_BY_QUEUE)
        if self._drained is not None:
            self._drained()

    def _on_stuck(self) -> None:
        self._abandon("slow_consumer")

    def _abandon(self, reason: str) -> None:
        if self.closed:
            self._release()
        else:
            self.close(reason)

    # ------------------------------------------------------------------------------------------------ closing

    def close(self, reason: str = "closed") -> None:
        """End at once; bytes that the peer has not taken are lost. Closing twice is closing once."""
        self.write(b"")
        if self.closed:
            return
        self.closed = True
        self._release()
        self._tell_end(reason)

    def close_after_flush(self, reason: str = "closed") -> None:
        """End for the receiver now, and for the peer once what was written has been sent.

        The peer then has a second to read it: closing a socket with unread bytes would reset the connection and
        destroy the last words.
        """
        self.write(b"")
        if self.closed:
            return
        self.closed = True
        self._tell_end(reason)
        if self._queue is None:
            self._linger()
        else:
            self._drained = self._linger

    def _tell_end(self, reason: str) -> None:
        # It hears nothing more, not even what has been read; nor are the two a circle for the garbage collector then.
        receiver, self.receiver = self.receiver, NOBODY
        try:
            receiver.on_close(reason)
        except Exception:
            log.exception("a receiver failed at the end of its stream, %s", reason)

    def _linger(self) -> None:
        self._drained = None
        try:
            self._transport.finish()
        except OSError:
            self._release()
            return
        self._timeout = self._deadlines.arm(LINGER, self._release)
        self._transport.pause()
        self._transport.start(self._on_leftover)

    def _on_leftover(self) -> None:
        try:
            if self._recv(self._chunk):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._release()

    def _release(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        self._queue = self._drained = None
        self._transport.close()
