"""Peers that answer late, twice, and with ids of calls that were made to somebody else."""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random
from typing import Any

import msgpack
from gevent import get_hub

from firefly_core.channel.transport import Transport
from firefly_core.testing import MemoryNetwork

__all__ = ["LIARS_PORT", "Liars"]

LIARS_PORT = 20_000
LATE, TWICE, CROSSED = 0.05, 0.01, 0.05
LATENESS = 1.0


class Liars:
    """Two of them, `liar-0` and `liar-1`, that know of each other's calls. The answer to `echo(n)` is `[liar, n]`."""

    def __init__(self, network: MemoryNetwork, random: Random) -> None:
        self._random = random
        self._loop: Any = get_hub().loop
        self.counts: Counter[str] = Counter()
        self._ends: list[Transport | None] = [None, None]
        self._newest = [0, 0]
        for number in range(2):
            network.host(f"liar-{number}").listen("127.0.0.1", LIARS_PORT + number, partial(self._accept, number))

    def _accept(self, number: int, transport: Transport) -> None:
        self._ends[number] = transport
        transport.start(partial(self._read, number, transport, msgpack.Unpacker()))

    def _read(self, number: int, transport: Transport, unpacker: msgpack.Unpacker) -> None:
        try:
            data = transport.recv(65_536)
        except OSError:
            data = b""
        if not data:
            transport.close()
            return
        unpacker.feed(data)
        for message in unpacker:
            if message[0] == 0:
                self._answer(number, message[1], message[3])

    def _answer(self, number: int, identifier: int, params: list[Any]) -> None:
        self._newest[number] = max(self._newest[number], identifier)
        honest = [1, identifier, None, [number, *params]]
        luck = self._random.random()
        if luck < LATE:
            self.counts["late"] += 1
            timer = self._loop.timer(LATENESS)
            timer.start(self._send, number, honest)
            return
        self._send(number, honest)
        if luck < LATE + TWICE:
            self.counts["twice"] += 1
            self._send(number, honest)
        elif luck < LATE + TWICE + CROSSED and identifier > self._newest[1 - number]:
            # The other one's connection has no such call, or none any more.
            self.counts["crossed"] += 1
            self._send(1 - number, [1, identifier, None, ["crossed", *params]])

    def _send(self, number: int, message: list[Any]) -> None:
        end = self._ends[number]
        if end is not None:
            try:
                end.send(msgpack.packb(message))
            except OSError:
                self.counts["unsent"] += 1
