"""How nodes come back: each keeps to the schedule of its delays, and five hundred of them make no storm.

`schedule` lets one node live through many outages of every kind and measures each pause before a dial.
`storm` takes the root away from many nodes at once and measures how they knock and when they are back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import attrs
import gevent
from gevent.event import Event

from firefly_core.channel.transport import Listener, Network, Transport
from firefly_core.testing import virtual_time
from tests.scenarios.house import House

__all__ = ["Schedule", "Storm", "schedule", "storm"]

FIRST, FACTOR, LONGEST, JITTER = 0.1, 1.6, 5.0, 0.2


@attrs.define
class Schedule:
    """What was seen of one node's pauses."""

    outages: int
    dials: int = 0
    gaps: int = 0
    misfits: int = 0
    """Pauses that were not within 20 % of the schedule."""
    worst: float = 0.0
    """The largest deviation from the schedule, as a part of the pause."""
    kinds: Counter[str] = attrs.Factory(Counter)


class _Watch:
    """A network that notes when a dial begins and when it has failed, and compares the pauses between."""

    def __init__(self, network: Network, now: Callable[[], float], found: Schedule) -> None:
        self._network = network
        self._now = now
        self._found = found
        self._ended: float | None = None
        self._step = 0

    def dial(self, host: str, port: int, *, timeout: float) -> Transport:
        self._found.dials += 1
        if self._ended is not None:
            self._compare(self._now() - self._ended)
        try:
            return self._network.dial(host, port, timeout=timeout)
        except OSError:
            self.ended()
            raise

    def listen(
        self, host: str, port: int, on_accept: Callable[[Transport], None], *, descriptor: int | None = None
    ) -> Listener:
        raise NotImplementedError

    def ended(self) -> None:
        self._ended = self._now()

    def greeted(self) -> None:
        """Only a hello makes the pauses short again."""
        self._step = 0

    def _compare(self, gap: float) -> None:
        expected = min(FIRST * FACTOR**self._step, LONGEST)
        self._step += 1
        self._found.gaps += 1
        off = abs(gap - expected) / expected
        self._found.worst = max(self._found.worst, off)
        if off > JITTER + 1e-6:
            self._found.misfits += 1


def schedule(outages: int, seed: int = 1) -> Schedule:
    """Let one node live through so many outages; its root is away, cut off, or deaf, for up to 20 s each."""
    found = Schedule(outages)
    with virtual_time(seed, limit=outages * 100 + 1_000) as world:
        house = House(world)
        watch = _Watch(house.network.host("world-1"), lambda: world.now, found)
        back = Event()

        def connected(_channel: object) -> None:
            watch.greeted()
            back.set()

        house.open()
        house.dialer("world-1", on_connected=connected, on_lost=lambda _channel: watch.ended(), network=watch)
        for _ in range(outages):
            back.wait()
            back.clear()
            gevent.sleep(world.random.uniform(0, 2))
            kind = world.random.choice(("away", "cut", "deaf", "reset"))
            found.kinds[kind] += 1
            _suffer(house, kind, world.random.uniform(0, 20))
        back.wait()
        house.close()
    return found


def _suffer(house: House, kind: str, seconds: float) -> None:
    """One outage; afterwards the root is there again."""
    network = house.network
    if kind == "cut":
        network.cut("world-1", "gate-1", both=True)
        network.reset("world-1", "gate-1")
        gevent.sleep(seconds)
        network.heal()
        return
    if kind == "away":
        house.shut()
    elif kind == "deaf":
        # It accepts and hangs up: a connection without a hello is no connection.
        house.open(lambda transport: transport.close())
    network.reset("world-1", "gate-1")
    if kind != "reset":
        gevent.sleep(seconds)
        house.open()


@attrs.define
class Storm:
    """What was seen of many nodes that lost their root at once."""

    nodes: int
    back: list[float] = attrs.Factory(list)
    """Seconds from the root's return until each node was connected, in order."""
    knocks: list[float] = attrs.Factory(list)
    """When nodes dialled, in seconds from the loss."""

    def peak(self, begin: float, seconds: float = 1.0, window: float = 0.1) -> float:
        """Give the most dials in one window within so many seconds from `begin`, as a part of the nodes."""
        times = [at for at in self.knocks if begin <= at < begin + seconds]
        most = first = 0
        for last, at in enumerate(times):
            while times[first] <= at - window:
                first += 1
            most = max(most, last - first + 1)
        return most / self.nodes

    def back_by(self, part: float) -> float:
        """Give the seconds within which this part of the nodes was back."""
        return self.back[min(len(self.back) - 1, int(part * len(self.back)))] if self.back else float("inf")


class _Knocking:
    """A network that notes each dial."""

    def __init__(self, network: Network, knock: Callable[[], None]) -> None:
        self._network = network
        self._knock = knock
        self.listen = network.listen

    def dial(self, host: str, port: int, *, timeout: float) -> Transport:
        self._knock()
        return self._network.dial(host, port, timeout=timeout)


def storm(nodes: int, outage: float, seed: int = 1) -> Storm:
    """Take the root away from so many nodes for so many seconds, and watch them come back."""
    found = Storm(nodes)
    with virtual_time(seed, limit=outage + 1_000) as world:
        house = House(world)
        house.open()
        lost_at = back_at = float("inf")
        connected = Event()
        count = 0

        def note(_channel: object) -> None:
            nonlocal count
            count += 1
            if world.now >= back_at:
                found.back.append(world.now - back_at)
            if count % nodes == 0:
                connected.set()

        def knock() -> None:
            if world.now >= lost_at:
                found.knocks.append(world.now - lost_at)

        for number in range(nodes):
            name = f"world-{number + 1}"
            house.dialer(name, on_connected=note, network=_Knocking(house.network.host(name), knock))
        connected.wait()
        connected.clear()
        gevent.sleep(10)
        lost_at = world.now
        house.shut()
        house.network.reset()
        gevent.sleep(outage)
        back_at = world.now
        house.open()
        connected.wait(600)
        house.close()
    return found
