"""Row C28: a gate dies with a thousand players; who wants to goes on at the other one; nobody stays as a ghost."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import gevent

from firefly_core import command, on_disconnect, on_login
from firefly_core.errors import FireflyError
from firefly_core.testing import FakeClient, InProcessCluster, virtual_time
from tests.promises.ledger import Outcome, Row

__all__ = ["ROWS"]

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
directory = "hub"
[servers.hub.root]
listen = "tcp://127.0.0.1:10100"
[servers.east.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
rate = "off"
connect_rate = "off"
login_timeout = 3600.0
per_address = 10000
resume_timeout = 60.0
[servers.east.root]
listen = "tcp://127.0.0.1:10001"
[servers.west.gate]
listen = { url = "tcp://127.0.0.1:11020", protocol = "json" }
rate = "off"
connect_rate = "off"
login_timeout = 3600.0
per_address = 10000
resume_timeout = 60.0
[servers.west.root]
listen = "tcp://127.0.0.1:10002"
[servers.world.node]
roots = ["east", "west"]
"""
PLAYERS = 1000
SMALL = 40
"""Players in a run of one kill."""


class Census:
    """Who is here, by the game's own handlers."""

    def __init__(self) -> None:
        self.arrived: dict[int, int] = {}
        self.left: dict[int, int] = {}

    def handlers(self) -> list[object]:
        """Give the handlers that count."""

        @command(1, public=True)
        def login(ctx, uid: int) -> int:
            ctx.session.bind(uid)
            return uid

        @command(2)
        def work(ctx) -> int:
            return int(ctx.uid)

        @on_login
        def arrive(ctx) -> None:
            self.arrived[ctx.uid] = self.arrived.get(ctx.uid, 0) + 1

        @on_disconnect
        def depart(ctx) -> None:
            if ctx.uid is not None:
                self.left[ctx.uid] = self.left.get(ctx.uid, 0) + 1

        return [login, work, arrive, depart]

    def ghosts(self) -> int:
        """Give how many players arrived more or less often than they left."""
        return sum(count != self.left.get(uid, 0) for uid, count in self.arrived.items())


@contextlib.contextmanager
def playing() -> Iterator[tuple[InProcessCluster, Census]]:
    """Give a cluster with two gates, in virtual time."""
    census = Census()
    with virtual_time(seed=1, limit=1e9), InProcessCluster(TOML, handlers={"world": census.handlers()}) as made:
        made.start()
        made.wait(lambda: len(made.kernel("hub").mesh.peers) == 2)
        yield made, census


def resume(made: InProcessCluster, token: str) -> FakeClient | None:
    """Come back at the other gate; None: it was refused."""
    client = made.connect("west")
    try:
        client.request("firefly.resume", {"token": token})
    except FireflyError:
        client.close()
        return None
    return client


def c28_gates(count: int) -> Outcome:
    """Kill a gate full of players, `count` times; two of three come back within a minute, the others never do."""
    chance = random.Random(28)
    players = PLAYERS if count > 1 else SMALL
    lost = wrong = came = left = 0
    with playing() as (made, census):
        for turn in range(count):
            clients = [made.connect("east") for _ in range(players)]
            tokens = {}
            for number, client in enumerate(clients):
                uid = turn * players + number + 1
                client.request("login", uid)
                tokens[uid] = client.request("firefly.token")["token"]
            made.crash("east")
            back = []
            for uid, token in tokens.items():
                if chance.random() < 2 / 3:
                    came += 1
                    client = resume(made, token)
                    lost += client is None
                    if client is not None:
                        back.append(client)
                        wrong += client.request("work") != uid
            made.restart("east")
            gevent.sleep(70)
            for client in back:
                client.write(b'{"cmd": "firefly.goodbye"}\n')
                client.close()
            gevent.sleep(70)
            hub = made.kernel("hub").directory
            assert hub is not None
            left += len(hub) + len(hub.refuge)
    figure = (
        f"{lost} of {came:,} players of {count} killed gates could not go on at the other one, {wrong} went on as "
        f"somebody else; {census.ghosts()} ghosts of {count * players:,}, {left} sessions left over"
    )
    return Outcome(came, figure, not lost and not wrong and not left and not census.ghosts() and came > 0)


ROWS = [Row("C28", "players of a killed gate go on at another one, and nobody stays as a ghost", c28_gates, 1, 50)]
