"""How far a session is, and what does not end it."""

from __future__ import annotations

import enum

__all__ = ["PASSING_CODES", "PASSING_REASONS", "Phase"]

PASSING_REASONS = frozenset(
    ("server_stopping", "busy", "too_many_connections", "too_many_attempts", "frame_timeout", "login_timeout")
)
"""Goodbyes after which it is worth coming back."""
PASSING_CODES = frozenset(("unavailable", "overloaded", "timeout", "rate_limited", "disconnected"))
"""Errors of a login, or a resume, that is worth another try."""


class Phase(enum.Enum):
    """How far the session is, on a line that stands."""

    NONE = 0
    RESUMING = 1
    LOGIN = 2
    TOKEN = 3
    READY = 4
