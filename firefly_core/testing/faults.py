"""Faults that keep coming: links that are reset, cut and slowed down at random moments, from a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from types import TracebackType
from typing import Self

import gevent

from firefly_core.testing.memory_network import MemoryNetwork
from firefly_core.testing.memory_pipe import PERFECT, Conditions

__all__ = ["BAD_LINK", "Chaos"]

BAD_LINK = Conditions(delay=0.1, jitter=0.2, loss=0.05, segment=100, bandwidth=65_536)
"""200 ms +- 100, one segment of twenty lost, 64 KiB/s, everything in small pieces."""


class Chaos:
    """Breaks links every now and then until it is stopped; then everything is mended.

        with Chaos(network, [("gate-1", "world-1")], every=(0.05, 0.5)):
            ...

    `every`: the shortest and the longest pause between two faults, in seconds. `faults`: any of `reset` (both ends at
    once), `cut` (one way), `split` (both ways) and `slow` (BAD_LINK); those that last do so for up to `lasting`
    seconds. `also` are functions of one's own, such as a crash of a server. `counts` says what was done.
    """

    def __init__(
        self,
        network: MemoryNetwork,
        links: Sequence[tuple[str, str]],
        *,
        every: tuple[float, float] = (0.05, 0.5),
        faults: Sequence[str] = ("reset", "cut", "split", "slow"),
        lasting: float = 1.0,
        also: Sequence[Callable[[], None]] = (),
        random: Random | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._network = network
        self._links = list(links)
        self._every = every
        self._lasting = lasting
        self._random = random if random is not None else Random(network.random.random())  # noqa: S311  repeatable
        known: dict[str, Callable[[str, str], None]] = {
            "reset": self._reset,
            "cut": self._cut,
            "split": self._split,
            "slow": self._slow,
        }
        self._faults = [known[name] for name in faults]
        self._also = list(also)
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    def start(self) -> None:
        """Begin; every link has its own faults."""
        for one, other in self._links:
            self._greenlets.append(gevent.spawn(self._run, one, other))

    def stop(self) -> None:
        """End, and mend every link."""
        gevent.killall(self._greenlets)
        self._greenlets.clear()
        for one, other in self._links:
            self._network.heal(one, other)
            self._network.set_conditions(one, other, PERFECT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _run(self, one: str, other: str) -> None:
        while True:
            gevent.sleep(self._random.uniform(*self._every))
            number = self._random.randrange(len(self._faults) + len(self._also))
            if number < len(self._faults):
                self._faults[number](one, other)
            else:
                self.counts["also"] += 1
                self._also[number - len(self._faults)]()

    def _reset(self, one: str, other: str) -> None:
        self.counts["reset"] += self._network.reset(one, other)

    def _cut(self, one: str, other: str) -> None:
        if self._random.random() < 0.5:
            one, other = other, one
        self._network.cut(one, other)
        self._wait_and_mend("cut", one, other)

    def _split(self, one: str, other: str) -> None:
        self._network.cut(one, other, both=True)
        self._wait_and_mend("split", one, other)

    def _slow(self, one: str, other: str) -> None:
        self._network.set_conditions(one, other, BAD_LINK)
        self.counts["slow"] += 1
        gevent.sleep(self._random.uniform(0, self._lasting))
        self._network.set_conditions(one, other, PERFECT)

    def _wait_and_mend(self, what: str, one: str, other: str) -> None:
        self.counts[what] += 1
        gevent.sleep(self._random.uniform(0, self._lasting))
        self._network.heal(one, other)
