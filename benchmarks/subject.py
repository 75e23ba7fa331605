"""A subject: one program that is measured, Firefly or a peer; what starts it and what to say to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import attrs

from benchmarks.bench import Bench
from benchmarks.load import Target

__all__ = ["Absent", "Subject"]


class Absent(Exception):
    """The subject cannot run on this machine; the message says why."""


@attrs.frozen
class Subject:
    """One program in a case. `writes` says how its answers leave: one write a `message`, or one a `batch`."""

    name: str
    start: Callable[[Bench], AbstractContextManager[Target]]
    """Start it on its core; raises Absent."""
    writes: str = "message"
    note: str = ""
