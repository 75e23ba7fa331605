"""Equipment: what all processes of one supervisor are started and watched with."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from firefly_core.kernel.supervisor.backoff import Restarts
from firefly_core.kernel.supervisor.epochs import Epochs
from firefly_core.kernel.supervisor.groups import Groups
from firefly_core.kernel.supervisor.listeners import Listeners
from firefly_core.kernel.supervisor.log import Log
from firefly_core.kernel.supervisor.loop import Loop
from firefly_core.kernel.supervisor.reaper import Reaper

__all__ = ["Equipment"]


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """One for all processes."""

    loop: Loop
    log: Log
    reaper: Reaper
    groups: Groups
    listeners: Listeners
    epochs: Epochs
    command: Callable[[str], Sequence[str]]
    """Gives the command line of a process by its name."""
    restarts: Restarts = field(default_factory=Restarts)
    secret: bytes | None = None
    """What all servers are told; None where they find a secret in the file."""
    slow: float = 10.0
    """A server that is not ready after so many seconds is mentioned."""
    source: random.Random = field(default_factory=random.SystemRandom)
