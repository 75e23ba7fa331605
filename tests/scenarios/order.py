"""One player's commands, one at a time and in order: numbered, sent without waiting, to handlers that yield.

Gate and node run as they are, in virtual time; `chaos` breaks the link between them meanwhile, `nodes` are several.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random
from typing import Any

import attrs
import gevent

from firefly_core import command, on_start
from firefly_core.errors import Disconnected, RemoteError
from firefly_core.testing import Chaos, FakeClient, InProcessCluster, virtual_time

__all__ = ["Order", "order"]

TOML = """
[firefly]
name = "order"
plugins = ["gate", "root", "node", "protocols"]

[servers.gate.gate]
listen = [
  {{ url = "tcp://127.0.0.1:11009", protocol = "datapack" }},
  {{ url = "tcp://127.0.0.1:11010", protocol = "json" }},
]
rate = "off"

[servers.gate.root]
listen = "tcp://127.0.0.1:10000"

[servers.world]
replicas = {nodes}
[servers.world.node]
roots = ["gate"]
"""
OPEN = 50
"""Commands that a client has under way before it waits for the oldest."""


@attrs.define
class Order:
    """What the handlers and the clients saw."""

    sent: int = 0
    answers: Counter[str] = attrs.Factory(Counter)
    """How commands ended: `value`, or the error's code."""
    started: int = 0
    inversions: int = 0
    """Commands that started after a later one of the same session."""
    overlaps: int = 0
    """Commands that started while another of the same session ran on the same node."""
    handovers: int = 0
    """Commands that started while one ran on another node, which was lost: its end cannot be waited for."""
    twice: int = 0
    """Commands that started a second time."""
    unanswered: int = 0
    wrong: int = 0
    """Answers that belong to another command."""
    disordered: int = 0
    """Answers that came before the answer to an earlier command of that client."""
    faults: Counter[str] = attrs.Factory(Counter)


class _Book:
    """What the handlers note."""

    def __init__(self, found: Order, random: Random) -> None:
        self.found = found
        self.random = random
        self.newest: dict[Any, int] = defaultdict(lambda: -1)
        self.running: Counter[Any] = Counter()

    def handlers(self) -> list[Any]:
        book = self

        @on_start
        def start(_ctx: Any) -> object:
            return object()

        @command(1, public=True)
        def login(ctx: Any, name: str) -> str:
            ctx.session.bind(name)
            return name

        @command(2)
        def step(ctx: Any, number: int) -> int:
            return book.step(ctx.state, ctx.uid, number)

        return [start, login, step]

    def step(self, node: object, uid: Any, number: int) -> int:
        """One command: it may yield, sleep, or come back at once."""
        found = self.found
        found.started += 1
        found.inversions += number < self.newest[uid]
        found.twice += number == self.newest[uid]
        elsewhere = self.running[uid] - self.running[node, uid]
        found.overlaps += self.running[node, uid] > 0
        found.handovers += elsewhere > 0
        self.newest[uid] = max(number, self.newest[uid])
        self.running[uid] += 1
        self.running[node, uid] += 1
        try:
            luck = self.random.random()
            if luck < 0.2:
                gevent.sleep(0)
            elif luck < 0.3:
                gevent.sleep(self.random.random() * 0.01)
            return number
        finally:
            self.running[uid] -= 1
            self.running[node, uid] -= 1


def order(sessions: int, commands: int, seed: int = 1, *, nodes: int = 1, chaos: bool = False) -> Order:
    """Let so many players send so many numbered commands each; half of them speak datapack, half json."""
    found = Order()
    with virtual_time(seed, limit=sessions * commands + 10_000.0) as world:
        book = _Book(found, world.random)
        toml = TOML.format(nodes=nodes)
        with InProcessCluster(toml, handlers={"world": book.handlers(), "gate": []}, seed=seed) as cluster:
            cluster.start()
            clients = [cluster.connect(protocol=("json", "datapack")[number % 2]) for number in range(sessions)]
            for number, client in enumerate(clients):
                client.request(1, f"player {number}")
            # Under chaos they take their time, so that there are faults enough.
            pause = 0.3 if chaos else 0.0
            players = [gevent.spawn(_play, client, commands, found, world.random, pause) for client in clients]
            if chaos:
                assert cluster.network is not None
                links = [("gate-1", f"world-{number + 1}") for number in range(nodes)]
                with Chaos(cluster.network, links, every=(0.05, 0.3)) as running:
                    gevent.joinall(players, raise_error=True)
                found.faults = running.counts
            gevent.joinall(players, raise_error=True)
            gevent.sleep(60)
    return found


def _play(client: FakeClient, commands: int, found: Order, random: Random, pause: float) -> None:
    pending = []
    for number in range(commands):
        pending.append((number, client.ask(2, number)))
        found.sent += 1
        if pause and random.random() < 0.5:
            gevent.sleep(random.random() * pause)
        if len(pending) >= OPEN:
            _take(pending, found)
    while pending:
        _take(pending, found)


def _take(pending: list[Any], found: Order) -> None:
    """Wait for the oldest answer; none of the later ones may be there before it."""
    number, answer = pending.pop(0)
    if not answer.ready:
        found.disordered += any(later.ready for _, later in pending)
    try:
        value = answer.get(timeout=60)
    except RemoteError as error:
        found.answers[error.code] += 1
    except Disconnected:
        found.unanswered += 1
    else:
        found.answers["value"] += 1
        found.wrong += value != number
