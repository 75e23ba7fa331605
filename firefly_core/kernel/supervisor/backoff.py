"""When a server that died starts again: after a growing, jittered delay, and not for ever."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

__all__ = ["Backoff", "Restarts"]

REMEMBERED = 100


@dataclass(frozen=True, kw_only=True)
class Restarts:
    """The policy: delays and times in seconds."""

    first: float = 0.5
    factor: float = 2.0
    longest: float = 30.0
    jitter: float = 0.2
    """The share of a delay by which it may be shorter or longer."""
    healthy: float = 60.0
    """A server that was ready for so long has earned the first delay again."""
    failures: int | None = 5
    """So many failures within `window`: the server is given up; None: never."""
    window: float = 60.0


class Backoff:
    """The memory of one server's failures."""

    def __init__(self, policy: Restarts, source: random.Random) -> None:
        self._policy = policy
        self._random = source
        self._failures: deque[float] = deque(maxlen=policy.failures or REMEMBERED)
        self._delay = policy.first

    @property
    def failures(self) -> int:
        """How many failures count at present."""
        return len(self._failures)

    def fail(self, now: float, ready_since: float | None) -> float | None:
        """Note a failure; give the delay until the next start, or None: give up."""
        policy = self._policy
        if ready_since is not None and now - ready_since >= policy.healthy:
            self.reset()
        while self._failures and now - self._failures[0] > policy.window:
            self._failures.popleft()
        self._failures.append(now)
        if policy.failures is not None and len(self._failures) >= policy.failures:
            return None
        delay = self._delay * self._random.uniform(1 - policy.jitter, 1 + policy.jitter)
        self._delay = min(self._delay * policy.factor, policy.longest)
        return delay

    def reset(self) -> None:
        """Forget every failure."""
        self._failures.clear()
        self._delay = self._policy.first
