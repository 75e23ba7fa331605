"""The keys of `[firefly.channel]`: the bounds of every channel between servers."""

from __future__ import annotations

from firefly_core.channel.dialer import CONNECT_TIMEOUT, LONGEST_DELAY
from firefly_core.channel.limits import ChannelLimits
from firefly_core.kernel.config.config import KiB, MiB, config, duration, integer, key, size

__all__ = ["ChannelConfig"]

GiB = 1024 * MiB
_LIMITS = ChannelLimits()


@config
class ChannelConfig:
    """The bounds of every channel; servers that talk to each other have the same ones."""

    frame: int = key(size(8 * KiB, 256 * MiB), "bytes of the largest frame, both ways", _LIMITS.frame)
    outbox_frames: int = key(
        integer(16, 1_000_000), "frames that may wait for a peer; beyond it calls end Overloaded", _LIMITS.outbox_frames
    )
    outbox_bytes: int = key(
        size(64 * KiB, 4 * GiB), "bytes that may wait for a peer; beyond it calls end Overloaded", _LIMITS.outbox_bytes
    )
    send_timeout: float = key(
        duration(0.1, 3600), "seconds after which a peer that takes nothing is closed", _LIMITS.send_timeout
    )
    pending: int = key(integer(1, 10_000_000), "calls that may wait for their answer on one channel", _LIMITS.pending)
    inflight: int = key(
        integer(1, 100_000),
        "requests of one peer that may run here at once, cancelled ones included; also those passed on to one peer",
        _LIMITS.inflight,
    )
    cancels: int = key(
        integer(2, 1_000_000), "cancels that a peer may send in `cancel_window` before it is closed", _LIMITS.cancels
    )
    cancel_window: float = key(duration(0.1, 3600), "seconds in which cancels are counted", _LIMITS.cancel_window)
    timeout: float = key(duration(0.01, 86_400), "seconds that a call may take which does not say so", _LIMITS.timeout)
    hello_timeout: float = key(
        duration(0.1, 600),
        "seconds until both ends have proved who they are, a TLS handshake included",
        _LIMITS.hello_timeout,
    )
    ping_after: float = key(
        duration(0.1, 3600), "seconds of silence after which a peer is asked for a sign of life", _LIMITS.ping_after
    )
    dead_after: float = key(
        duration(0.2, 3600), "seconds of silence after which a peer is dead; more than `ping_after`", _LIMITS.dead_after
    )
    stranger_idle: float = key(
        duration(0.1, 86_400),
        "seconds of silence after which a program without the secret is closed, where a root is open",
        _LIMITS.stranger_idle,
    )
    connect_timeout: float = key(duration(0.1, 600), "seconds that one try to connect may take", CONNECT_TIMEOUT)
    longest_delay: float = key(
        duration(0.1, 3600), "seconds, give or take a fifth, between two tries to connect at most", LONGEST_DELAY
    )

    def __attrs_post_init__(self) -> None:
        if self.dead_after <= self.ping_after:
            raise ValueError("dead_after must be longer than ping_after")
        if self.outbox_bytes < self.frame:
            raise ValueError("outbox_bytes must hold a whole frame")

    def limits(self) -> ChannelLimits:
        """Give the bounds as channels take them."""
        return ChannelLimits(
            frame=self.frame,
            outbox_frames=self.outbox_frames,
            outbox_bytes=self.outbox_bytes,
            send_timeout=self.send_timeout,
            pending=self.pending,
            inflight=self.inflight,
            cancels=self.cancels,
            cancel_window=self.cancel_window,
            timeout=self.timeout,
            hello_timeout=self.hello_timeout,
            ping_after=self.ping_after,
            dead_after=self.dead_after,
            stranger_idle=self.stranger_idle,
        )
