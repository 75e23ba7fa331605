"""The bounds of streams and channels."""

from __future__ import annotations

import attrs

__all__ = ["ChannelLimits", "StreamLimits"]

CHUNK = 8192


class StreamLimits:
    """The bounds of a stream, one object for all streams of a listener.

    `max_queue`: unsent bytes, and 128 for each piece; over it the peer is a `slow_consumer`, and so is one that takes
    nothing for `send_timeout` seconds. `chunk`: bytes of one read. `pause_when_queued`: reading waits for the queue.
    """

    __slots__ = ("chunk", "max_queue", "pause_when_queued", "send_timeout")

    def __init__(
        self,
        *,
        max_queue: int = 262_144,
        send_timeout: float = 5.0,
        chunk: int = CHUNK,
        pause_when_queued: bool = True,
    ) -> None:
        self.max_queue = max_queue
        self.send_timeout = send_timeout
        self.chunk = chunk
        self.pause_when_queued = pause_when_queued


@attrs.frozen(kw_only=True)
class ChannelLimits:
    """One object for all channels of a kernel. Sizes are bytes, times seconds."""

    frame: int = 1 << 20
    """The largest frame, both ways: checked before it is queued here, and before it is buffered there."""
    outbox_frames: int = 4096
    outbox_bytes: int = 8 << 20
    """What may wait for the peer. Beyond it `call` raises Overloaded, `notify` gives False, requests are answered
    `overloaded` without starting; at twice as much, by answers alone, the peer is closed as `slow_consumer`."""
    send_timeout: float = 5.0
    """How long the peer may take nothing."""
    pending: int = 16_384
    """Calls waiting for their answer."""
    inflight: int = 256
    """Handlers that run for the peer at once, cancelled ones that still run included."""
    uncounted: frozenset[str] = frozenset(("firefly.command",))
    """Methods that `inflight` leaves out, because whoever dispatches them has a bound for them."""
    cancels: int = 512
    """Cancels in `cancel_window` seconds; a peer that sends more is closed."""
    cancel_window: float = 10.0
    timeout: float = 10.0
    """The deadline of a call that names none, and of a request or notification that carries none."""
    hello_timeout: float = 5.0
    ping_after: float = 5.0
    """Silence after which the peer is asked for a sign of life."""
    dead_after: float = 10.0
    """Silence after which the peer is dead."""
    stranger_idle: float = 60.0
    """Silence after which a client without a hello is closed, where such are allowed."""
    flush_frames: int = 32
    flush_bytes: int = 8192
    """What is packed goes out at the end of the loop turn, or as soon as there is this much: both ends then work."""
