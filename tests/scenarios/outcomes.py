"""Every call ends once: thousands of calls over a link that is reset, cut and slow, and every end is compared.

What a call says of itself is held against what the handlers saw: executed twice, executed though `sent=False`, given
somebody else's result, or never ended at all.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import attrs
import gevent

from firefly_core.channel.rpc import RpcChannel
from firefly_core.errors import CallError, DeadlineExceeded, Disconnected, Overloaded, RemoteError
from firefly_core.testing import Chaos, virtual_time
from tests.scenarios.house import House
from tests.scenarios.liars import LIARS_PORT, Liars

__all__ = ["Outcomes", "crossed", "outcomes"]

CALLERS = 50
LONGEST_WAIT = 30.0


@attrs.define
class Outcomes:
    """What became of the calls."""

    calls: int = 0
    ended: Counter[str] = attrs.Factory(Counter)
    """How they ended: `value`, or the error's name, `sent` or `unsent` for Disconnected."""
    executed: Counter[int] = attrs.Factory(Counter)
    """How often each call's handler started."""
    mismatches: int = 0
    """Values that belong to another call."""
    unsent: set[int] = attrs.Factory(set)
    """Calls of which it was said that they are certainly not executed."""
    invented: int = 0
    """Values of calls that were never executed."""
    late: int = 0
    """Calls that ended more than half a second after their deadline."""
    pending: int = 0
    """Calls that a channel still waits for after the end."""
    faults: Counter[str] = attrs.Factory(Counter)

    @property
    def lies(self) -> int:
        """Calls that were executed, then or later, though it was said that they are not."""
        return sum(1 for number in self.unsent if self.executed[number])

    @property
    def twice(self) -> int:
        """Calls that were executed more than once."""
        return sum(1 for count in self.executed.values() if count > 1)


class _Caller:
    """Calls over whatever channel stands just now, one call after the other."""

    def __init__(self, house: House, found: Outcomes) -> None:
        self.house = house
        self.found = found
        self.channels: list[RpcChannel] = []

    def run(self, first: int, count: int) -> None:
        random = self.house.world.random
        for number in range(first, first + count):
            timeout = random.choice((0.05, 0.5, 5.0, LONGEST_WAIT))
            began = self.house.world.now
            self.found.calls += 1
            end = self._call(number, random.random() * 0.3, timeout)
            self.found.ended[end] += 1
            self.found.late += self.house.world.now - began > timeout + 0.5
            # Without a channel a call fails at once: most calls should not be of that kind.
            gevent.sleep(random.random() * (1.0 if end in ("sent", "unsent") else 0.02))

    def _call(self, number: int, wait: float, timeout: float) -> str:
        found = self.found
        # Before any channel stood, nobody can be asked: that is what `sent=False` means too.
        channel = self.channels[-1] if self.channels else None
        try:
            if channel is None:
                raise Disconnected("not yet", sent=False)
            value = channel.call("echo", number, wait, timeout=timeout)
        except Disconnected as error:
            if error.sent:
                return "sent"
            found.unsent.add(number)
            return "unsent"
        except CallError as error:
            if isinstance(error, Overloaded):
                found.unsent.add(number)
            return type(error).__name__
        found.mismatches += value != [number, wait]
        found.invented += not found.executed[number]
        return "value"


def outcomes(calls: int, seed: int = 1, *, every: tuple[float, float] = (0.05, 0.5)) -> Outcomes:
    """Make so many calls, half of them each way, over one link under chaos; give how they ended."""
    found = Outcomes()
    with virtual_time(seed, limit=calls * 40.0 + 1_000) as world:

        def echo(_channel: RpcChannel, number: int, wait: float) -> Any:
            found.executed[number] += 1
            if number % 97 == 0:
                raise RemoteError("too_far", "every ninety-seventh")
            gevent.sleep(wait)
            return [number, wait]

        house = House(world, methods={"echo": echo})
        there, back = _Caller(house, found), _Caller(house, found)
        house.on_accepted = back.channels.append
        house.open()
        house.dialer("world-1", on_connected=there.channels.append)
        gevent.sleep(1)
        each = calls // (2 * CALLERS)
        with Chaos(house.network, [("world-1", "gate-1")], every=every) as chaos:
            callers = [
                gevent.spawn(side.run, (index * CALLERS + number) * each, each)
                for index, side in enumerate((there, back))
                for number in range(CALLERS)
            ]
            gevent.joinall(callers, raise_error=True)
        gevent.sleep(LONGEST_WAIT + 1)
        found.faults = chaos.counts
        found.pending = sum(channel.pending for channel in (*there.channels, *back.channels))
        house.close()
    return found


def crossed(calls: int, seed: int = 1) -> Outcomes:
    """Call two peers that answer late, twice, and with ids that belong to the other's connection."""
    found = Outcomes()
    with virtual_time(seed, limit=calls * 10.0 + 1_000) as world:
        house = House(world)
        liars = Liars(house.network, world.random)
        channels = [house.plain(LIARS_PORT + number) for number in range(2)]

        def run(first: int, count: int) -> None:
            for number in range(first, first + count):
                # Ten to one, so that the ids of one connection run ahead of the other's.
                liar = 0 if number % 10 else 1
                found.calls += 1
                try:
                    value = channels[liar].call("echo", number, timeout=0.2)
                except DeadlineExceeded:
                    found.ended["DeadlineExceeded"] += 1
                else:
                    found.ended["value"] += 1
                    found.mismatches += value != [liar, number]

        each = calls // CALLERS
        gevent.joinall([gevent.spawn(run, index * each, each) for index in range(CALLERS)], raise_error=True)
        gevent.sleep(10)
        found.pending = sum(channel.pending for channel in channels)
        found.faults = liars.counts
        house.close()
    return found
