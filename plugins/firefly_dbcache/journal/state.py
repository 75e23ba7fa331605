"""The states of a journal."""

from __future__ import annotations

import enum

__all__ = ["State"]


class State(enum.Enum):
    """Whether the journal takes records."""

    CLOSED = "closed"
    OPEN = "open"
    FULL = "the journal's disk is full"
    DEAD = "the journal's disk has failed"
    CAPPED = "the journal has reached its cap"
