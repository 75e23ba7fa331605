"""What `save` promises when it returns, by model or for the whole service."""

from __future__ import annotations

import enum

__all__ = ["Durability"]


class Durability(enum.IntEnum):
    """When a change is acknowledged, and so what can lose it afterwards.

    The values are ordered: a unit of several rows is acknowledged as the strongest of its models asks.
    """

    CACHE = 0
    """When the second-level cache has it; it never reaches the database. An eviction or a restart may lose it."""
    ASYNC = 1
    """When the owner's memory has it; a crash loses what was not flushed yet, a quarter of a second by default."""
    JOURNAL = 2
    """When the kernel has its journal record: no kill of any process loses it, a power cut up to the last second."""
    FSYNC = 3
    """When its journal record is on disk, in groups: nothing but that disk loses it."""
    THROUGH = 4
    """When the database has committed it."""

    @classmethod
    def named(cls, name: str) -> Durability:
        """Give the mode that firefly.toml or a model calls `name`; raises ValueError with the nearest names."""
        try:
            return cls[name.upper()]
        except (KeyError, AttributeError):
            every = ", ".join(mode.name.lower() for mode in cls)
            raise ValueError(f"durability is one of {every}, not {name!r}") from None

    @property
    def journaled(self) -> bool:
        """Whether changes of this mode are always written to the journal."""
        return self is Durability.JOURNAL or self is Durability.FSYNC
