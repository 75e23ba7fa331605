"""The times and bounds of a client."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes."""

    timeout: float = 10.0
    """Until a request must have its answer, waiting for the line included."""
    connect_timeout: float = 5.0
    """Until a line must stand."""
    heartbeat: float = 15.0
    """Of silence until the server is asked for a sign of life; after twice that the line is given up."""
    window: int = 32
    """Requests on the line at once. Servers repeat 32 answers: more would not be safe to send again."""
    queue: int = 1024
    """Requests that may wait to be sent."""
    pushes: int = 1024
    """Pushes that may wait for their handlers; with more of them nothing is read."""
    max_body: int = 65280
    """The longest body that is sent; with what stands around it the server's `max_frame` (65536) bounds it too."""
    ack_pushes: int = 8
    """Numbered pushes after which they are acknowledged at the latest."""
    ack_bytes: int = 4096
    """Bytes after which they are."""
