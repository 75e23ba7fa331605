"""Row P6: players come, go and come back while links break and servers die; in the end everybody knows who is where."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent

from firefly_core.errors import DeadlineExceeded, Disconnected, RemoteError
from firefly_core.testing import Conditions, FakeClient, InProcessCluster
from tests.promises.ledger import Outcome, Row
from tests.promises.player_rows import group_of, here, most, playing

__all__ = ["ROWS"]

GATES = ("east", "west")
LINKS = (("east-1", "hub-1"), ("west-1", "hub-1"), ("world-1", "east-1"), ("world-1", "west-1"))
LINES = (("player", "east-1"), ("player", "west-1"))
PLAYERS = 8
STEPS = 200
WAY = 0.005
"""Seconds that a message is under way."""
SETTLED = 100.0
"""Seconds until nobody waits for anything any more: sessions to be resumed, claims, channels."""
ENDED = (RemoteError, Disconnected, DeadlineExceeded)


class Unrest:
    """One cluster in which everything happens, at random, from a seed."""

    def __init__(self, made: InProcessCluster, seed: int) -> None:
        assert made.network is not None
        self.made = made
        self.network = made.network
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.forgotten = 0
        """How often the data of a session were not those of its player."""
        self._tokens: dict[int, dict[str, str]] = {}
        self._clients: list[FakeClient] = []

    def rage(self, steps: int) -> None:
        """Let players do what they do, and break something now and then; then mend everything and wait."""
        chance, jobs = self.chance, []
        for _ in range(steps):
            jobs.append(gevent.spawn(self._play, chance.randint(1, PLAYERS)))
            self._break()
            gevent.sleep(chance.choice((0, 0.01, 0.1, 0.5, 2)))
        gevent.sleep(5)
        self.network.heal()
        gevent.joinall(jobs, timeout=SETTLED)
        gevent.sleep(SETTLED)

    def _play(self, uid: int) -> None:
        """Come in or come back through one of the gates, do something, and stay, leave or vanish."""
        gate = self.chance.choice(GATES)
        try:
            client = self.made.connect(gate, host="player")
        except OSError:
            return
        client._number = self.chance.randrange(1000, 10**9)  # a client never uses a request's id twice
        with contextlib.suppress(*ENDED):
            if uid in self._tokens and self.chance.random() < 0.6:
                self._come_back(client, uid)
            else:
                client.request("login", uid)
                self.done["logins"] += 1
                if self.chance.random() < 0.8:
                    self._tokens[uid] = self._fresh(client.request("firefly.token"))
            self.forgotten += client.request("who") != uid
            if self.chance.random() < 0.7:
                client.request("work", self.chance.uniform(0, 0.3))
        leave = self.chance.choice(
            (client.abort, client.close, partial(client.write, b'{"cmd":"goodbye"}\n'), None, None)
        )
        if leave is None:
            self._clients.append(client)
        else:
            leave()

    def _come_back(self, client: FakeClient, uid: int) -> None:
        try:
            self._tokens[uid] = self._fresh(client.request("firefly.resume", self._tokens[uid]))
            self.done["resumes"] += 1
        except RemoteError as error:
            if error.code == "bad_token":
                self._tokens.pop(uid, None)
            raise

    def _fresh(self, answer: dict[str, Any]) -> dict[str, str]:
        return {"token": answer["token"], "nonce": f"nonce {self.chance.random():.20f}"}

    def _break(self) -> None:
        """Break something, every fourth time."""
        chance = self.chance
        what = chance.random()
        if what < 0.15:
            self.done["resets"] += self.network.reset(*chance.choice((*LINKS, *LINES)))
        elif what < 0.22:
            link = chance.choice(LINKS)
            self.network.cut(*link, both=chance.random() < 0.5)
            gevent.spawn_later(chance.uniform(0, chance.choice((1, 1, 1, 15))), self.network.heal, *link)
            self.done["cuts"] += 1
        elif what < 0.25:
            victim = chance.choice(("hub", *GATES))
            if f"{victim}-1" in self.made.kernels:
                self.made.crash(victim)
                gevent.spawn_later(chance.uniform(0, 3), self._bring_back, victim)
                self.done["crashes"] += 1

    def _bring_back(self, name: str) -> None:
        if f"{name}-1" not in self.made.kernels:
            self.made.restart(name, wait=False)


def faults(made: InProcessCluster) -> list[str]:
    """Give what somebody in a cluster that has settled has wrong about who is where."""
    hub: Any = made.kernel("hub").directory
    gates: dict[str, Any] = {f"{name}-1": made.kernel(name).services["gate"] for name in GATES}
    present = [(uid, (name, session.id)) for name, gate in gates.items() for uid, session in gate.crowd.players.items()]
    kept = {
        digest
        for gate in gates.values()
        for session in gate.crowd.sessions.values()
        if session.kept is not None
        for digest in (session.kept.digest, session.kept.former)
        if digest
    }
    looks: dict[str, Callable[[], bool]] = {
        "a player is at two gates": lambda: len(dict(present)) == len(present),
        "the directory is wrong": lambda: (
            dict(present) == {uid: (login.gate, login.sid) for uid, login in hub._logins.items()}
        ),
        "the refuge is wrong": lambda: set(hub.refuge._kept) == kept,
        "a gate has tokens of nobody": lambda: (
            kept
            == {digest for gate in gates.values() for digest in (*gate.resumption._sessions, *gate.resumption._former)}
        ),
        "a group is wrong": lambda: all(map(_has_its_groups, gates.values())),
        "a session waits for ever": lambda: not any(gate.resumption.waiting for gate in gates.values()),
        "a goodbye was never said": lambda: not any(gate._farewells.under_way for gate in gates.values()),
        "the world greets who is away": lambda: all(
            count == 0 or (count == 1 and uid in dict(present)) for uid, count in here.items()
        ),
        "a player was there twice": lambda: max(most.values(), default=0) <= 1,
    }
    return [what for what, holds in looks.items() if not holds()]


def _has_its_groups(gate: Any) -> bool:
    """Whether every player of a gate is in his group, and nobody else in any."""
    players, groups = gate.crowd.players, gate.crowd.groups
    nobody = [session for members in groups.values() for session in members.values() if session.uid not in players]
    return not nobody and all(session.groups == (group_of(uid),) for uid, session in players.items())


def p6_whereabouts(count: int) -> Outcome:
    """`count` clusters of 200 steps each; what is wrong in one that has settled is counted."""
    wrong: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for seed in range(1, count + 1):
        with playing(seed) as made:
            unrest = Unrest(made, seed)
            unrest.network.set_conditions("*", "*", Conditions(delay=WAY))
            unrest.rage(STEPS)
            wrong.update(faults(made))
            wrong["the data of a session are lost"] += unrest.forgotten
            done += unrest.done
    figure = (
        f"{sum(wrong.values())} wrong in {count:,} clusters after {done['logins']:,} logins, "
        f"{done['resumes']:,} resumes, {done['resets']:,} resets, {done['cuts']:,} cuts, {done['crashes']:,} crashes"
        + (f"; {dict(+wrong)}" if +wrong else "")
    )
    return Outcome(count, figure, not +wrong and done["resumes"] > 0)


ROWS = [
    Row("P6", "whatever breaks, gates, world and directory agree in the end on who is where", p6_whereabouts, 1, 200),
]
