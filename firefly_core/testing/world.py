"""A world of its own for one test: a hub on virtual time, a seed, and everything that waits in it.

    with virtual_time(seed=7) as world:
        gevent.sleep(3600)          # returns at once
        assert world.now == 3600

The real hub stands aside for the block and is the current one again afterwards. What can block (events, queues,
locks, kernels) belongs to the hub under which it first waited: make it inside the block.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from weakref import WeakSet

import gevent
from gevent import Greenlet, get_hub
from gevent._hub_local import set_hub
from gevent.hub import Hub

from firefly_core.testing.clock import VirtualClock
from firefly_core.testing.virtual_loop import VirtualLoop
from firefly_core.testing.watchers import NANOSECONDS

__all__ = ["World", "virtual_time"]

CLEAN_UP = 60.0
"""Virtual seconds that greenlets left over at the end have to die."""


class World:
    """What `virtual_time` gives: the time, the seed, and the random numbers that come from it."""

    def __init__(self, seed: int, loop: VirtualLoop) -> None:
        self.seed = seed
        self.loop = loop
        self.random = random.Random(seed)  # noqa: S311  repeatable, not secret
        self.clock = VirtualClock(loop)
        self._greenlets: WeakSet[Greenlet[..., object]] = WeakSet()

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.loop.nanoseconds / NANOSECONDS

    @property
    def greenlets(self) -> list[Greenlet[..., object]]:
        """The greenlets started in this world that have not ended, oldest first."""
        alive = [greenlet for greenlet in self._greenlets if not greenlet.dead]
        return sorted(alive, key=lambda greenlet: greenlet.minimal_ident)

    def hold(self) -> AbstractContextManager[None]:
        """Let time stand still for a block that waits for a real descriptor, such as an HTTP request to a real port."""
        return self.loop.hold()

    def note_spawn(self, greenlet: Greenlet[..., object]) -> None:
        """Remember a greenlet, to end it with the world."""
        self._greenlets.add(greenlet)


@contextmanager
def virtual_time(seed: int = 1, *, limit: float = 86_400.0) -> Iterator[World]:
    """Run the block on a hub of its own whose time jumps instead of passing.

    `seed` makes `world.random`; the same seed gives the same order of events. TimeoutError is raised in the block when
    it waits longer than `limit` virtual seconds, LoopExit when what it waits for can never happen. Greenlets that are
    left over are killed at the end. Signals and child processes belong to the real hub and cannot be waited for.
    """
    outer = get_hub()
    if isinstance(outer.loop, VirtualLoop):
        raise RuntimeError("virtual time runs already: one world at a time")
    world = World(seed, VirtualLoop(limit))
    hub = Hub(loop=world.loop)  # type: ignore[call-overload]  # the stubs name gevent's own loops only
    hub.name = f"virtual, seed {seed}"
    set_hub(hub)
    Greenlet.add_spawn_callback(world.note_spawn)
    try:
        yield world
    finally:
        Greenlet.remove_spawn_callback(world.note_spawn)
        try:
            _end(world, hub)
        finally:
            set_hub(outer)


def _end(world: World, hub: Hub) -> None:
    if not hub.dead:
        leftovers = world.greenlets
        if leftovers:
            gevent.killall(leftovers, timeout=CLEAN_UP)
    hub.destroy(destroy_loop=True)
