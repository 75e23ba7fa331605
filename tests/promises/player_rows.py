"""Rows P1 to P5: players whose servers die, who log in twice, who come back, and who come back as somebody else."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import gevent

from firefly_core import command, on_disconnect, on_login
from firefly_core.errors import Disconnected, RemoteError
from firefly_core.testing import Conditions, FakeClient, InProcessCluster, virtual_time
from tests.promises.ledger import Outcome, Row
from tests.promises.storm import storm

__all__ = ["ROWS", "group_of", "here", "most", "playing"]

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
directory = "hub"
[servers.hub.root]
listen = "tcp://127.0.0.1:10100"
[servers.east.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
rate = "off"
login_timeout = 3600.0
resume_timeout = 30.0
[servers.east.root]
listen = "tcp://127.0.0.1:10001"
[servers.west.gate]
listen = { url = "tcp://127.0.0.1:11020", protocol = "json" }
rate = "off"
login_timeout = 3600.0
resume_timeout = 30.0
[servers.west.root]
listen = "tcp://127.0.0.1:10002"
[servers.world.node]
roots = ["east", "west"]
"""
EVERY = 5.0
WAY = 0.01
"""Seconds that a message is under way, where lines break in the middle of something."""
MANY = 20
"""Kills from which on the storm has its full number of players."""
here: dict[int, int] = {}
"""How many sessions of each player have been greeted and have not said goodbye."""
most: dict[int, int] = {}
"""The most at once."""


@command(1, public=True)
def login(ctx, uid: int):
    ctx.session.bind(uid)
    ctx.session.data["who"] = uid
    ctx.group(group_of(uid)).join(ctx.session)


@command(2)
def work(ctx, seconds: float):
    gevent.sleep(seconds)


@command(3)
def who(ctx):
    return ctx.session.data.get("who")


def group_of(uid: int) -> str:
    """Give the group that a player joins."""
    return f"group {uid % 3}"


@on_login
def arrive(ctx):
    here[ctx.uid] = here.get(ctx.uid, 0) + 1
    most[ctx.uid] = max(most.get(ctx.uid, 0), here[ctx.uid])


@on_disconnect
def depart(ctx):
    if ctx.uid is not None:
        here[ctx.uid] -= 1


@contextlib.contextmanager
def playing(seed: int = 1) -> Iterator[InProcessCluster]:
    here.clear()
    most.clear()
    with (
        virtual_time(seed=seed, limit=1e9),
        InProcessCluster(TOML, handlers={"world": [login, work, who, arrive, depart]}, seed=seed) as made,
    ):
        made.start()
        made.wait(lambda: len(made.kernel("hub").mesh.peers) == 2)
        yield made


def p1_storm(count: int) -> Outcome:
    """`count` processes are killed, one every five seconds, while players catch: 300, or 40 in a short storm."""
    report = storm(300 if count >= MANY else 40, count, every=EVERY)
    return Outcome(report.sent, report.figure, report.kept)


def p2_logins(count: int) -> Outcome:
    """A player logs in at both gates at once, some in the middle of a command, `count` times; who stays is counted."""
    chance = random.Random(1)
    bad: list[int] = []
    with playing() as made:
        crowds = [made.kernel(name).services["gate"].crowd for name in ("east", "west")]
        for uid in range(1, count + 1):
            first = made.connect(chance.choice(["east", "west"]))
            first.request("login", uid)
            if uid % 3 == 0:
                first.notify("work", chance.uniform(0, 0.1))
            rivals = [made.connect("east"), made.connect("west")]
            for rival in chance.sample(rivals, 2):
                rival.notify("login", uid)
                gevent.sleep(chance.choice([0, 0, 0.001, 0.05]))
            gevent.sleep(0.3)
            players = sum(uid in crowd.players for crowd in crowds)
            if (players, here.get(uid), most.get(uid)) != (1, 1, 1):
                bad.append(uid)
            for client in (first, *rivals):
                client.close()
            gevent.sleep(0.01)
        made.wait(lambda: not any(here.values()))
        left = sum(len(crowd.sessions) for crowd in crowds) + len(made.kernel("hub").directory)
    figure = f"{len(bad)} of {count:,} without exactly one session, {left} left over at the end"
    return Outcome(count, figure, not bad and not left)


def p3_tokens(count: int) -> Outcome:
    """Sessions are resumed with tokens that are forged, cut, used, expired, or another's; and with the right one."""
    chance = random.Random(1)
    opened = lost = 0
    with playing() as made:
        for number in range(count):
            player, other = made.connect("east"), made.connect("east")
            player.request("login", 2 * number + 1)
            other.request("login", 2 * number + 2)
            used = player.request("firefly.token")["token"]
            token = player.request("firefly.token")["token"]
            wrong = _wrong(number, used, token, chance)
            opened += _opens(made.connect(chance.choice(["east", "west"])), wrong)
            opened += _opens(other, token)
            player.abort()
            if number % 2:
                gevent.sleep(40)
                opened += _opens(made.connect(chance.choice(["east", "west"])), token)
            else:
                lost += not _opens(made.connect("east"), token)
            other.close()
            gevent.sleep(0.01)
    right = count - count // 2
    figure = f"{opened} of {3 * count - right:,} wrong tokens opened a session, {lost} of {right:,} right ones did not"
    return Outcome(count, figure, not opened and not lost)


def _wrong(number: int, used: str, token: str, chance: random.Random) -> str:
    place = chance.randrange(len(token))
    return [
        used,
        token[:-1],
        token + "A",
        token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :],
        "".join(chance.choice("ABCDEFGHIJ0123456789_-") for _ in range(43)),
    ][number % 5]


def _opens(client: FakeClient, token: str, **more: str) -> bool:
    try:
        client.request("firefly.resume", {"token": token, **more})
    except RemoteError as error:
        return error.code != "bad_token"
    return True


def p4_gates(count: int) -> Outcome:
    """A gate dies with a player in the middle of a command, `count` times; he goes on at the other gate, behind it."""
    chance = random.Random(1)
    failed: list[str] = []
    with playing() as made:
        for number in range(count):
            uid = number + 1
            gate, other = chance.sample(["east", "west"], 2)
            player = made.connect(gate)
            player.request("login", uid)
            token = player.request("firefly.token")["token"]
            pending = player.ask("work", chance.uniform(0, 0.2))
            gevent.sleep(chance.uniform(0, 0.2))
            made.crash(gate)
            client = made.connect(other)
            if not _opens(client, token) or client.request("work", 0) is not None or most[uid] != 1:
                failed.append(f"player {uid}")
            with contextlib.suppress(Disconnected):
                pending.get()
            client.write(b'{"cmd": "goodbye"}\n')
            made.restart(gate)
            made.wait(lambda: len(made.kernel("hub").mesh.peers) == 2 and not any(here.values()), timeout=30)
        left = len(made.kernel("hub").directory) + len(made.kernel("hub").directory.refuge)
    figure = f"{len(failed)} of {count:,} players did not go on in order, {left} sessions left over at the end"
    return Outcome(count, figure, not failed and not left)


def p5_answers(count: int) -> Outcome:
    """A line breaks at any moment of a resume, at one gate or by way of another, `count` times; who comes back?"""
    chance = random.Random(1)
    lost = opened = 0
    with playing() as made:
        assert made.network is not None
        made.network.set_conditions("*", "*", Conditions(delay=WAY))
        hub = made.kernel("hub")
        for uid in range(1, count + 1):
            _wait_for_gates(made)
            gates = chance.sample(["east", "west"], 2)
            player = made.connect(gates[0], host="player")
            player.request("login", uid)
            body = {"token": player.request("firefly.token")["token"], "nonce": f"the nonce of player {uid}"}
            player.abort()
            _break_off(made, gates[chance.random() < 0.3], body, chance)
            client = _insists(made, chance.choice(gates), body)
            lost += client is None or client.request("work", 0) is not None
            _wait_for_gates(made)
            for used in (body, {"token": body["token"]}, {**body, "nonce": "of somebody else"}):
                opened += _opens(made.connect(chance.choice(gates)), **used)
            if client is not None:
                client.write(b'{"cmd": "goodbye"}\n')
            gevent.sleep(0.1)
        made.wait(lambda: not any(here.values()))
        gevent.sleep(60)
        left = len(hub.directory) + len(hub.directory.refuge)
    figure = (
        f"{lost} of {count:,} did not come back, {opened} of {3 * count:,} used tokens opened a session, "
        f"{left} sessions left over at the end"
    )
    return Outcome(count, figure, not lost and not opened and not left)


def _wait_for_gates(made: InProcessCluster) -> None:
    peers = made.kernel("hub").mesh.peers
    made.wait(lambda: sum(peer.connected for peer in peers.values()) == 2, timeout=30)


def _break_off(made: InProcessCluster, gate: str, body: dict[str, str], chance: random.Random) -> None:
    """Resume on a line that breaks meanwhile, or whose gate loses the directory."""
    assert made.network is not None
    link = ("player", f"{gate}-1") if chance.random() < 0.7 else (f"{gate}-1", "hub-1")
    gevent.spawn_later(chance.uniform(0, 6 * WAY), made.network.reset, *link)
    client = made.connect(gate, host="player")
    with contextlib.suppress(RemoteError, Disconnected):
        client.request("firefly.resume", body)
    gevent.sleep(6 * WAY)
    client.abort()


def _insists(made: InProcessCluster, gate: str, body: dict[str, str]) -> FakeClient | None:
    """Resume, as soon as the gate can say whose token it is; None where it is nobody's."""
    for _ in range(100):
        client = made.connect(gate, host="player")
        client._number = 100  # a client never uses a request's id twice
        try:
            client.request("firefly.resume", body)
        except RemoteError as error:
            if error.code != "unavailable":
                return None
            gevent.sleep(0.2)
        else:
            return client
    return None


ROWS = [
    Row("P1", "players see no more of servers that die than that they are away", p1_storm, 0, 24),
    Row("P2", "of two logins of a player exactly one stays", p2_logins, 40, 1_000),
    Row("P3", "only the right token, in time, once, resumes a session", p3_tokens, 20, 1_000),
    Row("P4", "a player goes on through another gate, behind his last command", p4_gates, 10, 1_000),
    Row(
        "P5", "a player whose resume is answered into a broken line comes back, and nobody else", p5_answers, 20, 1_000
    ),
]
