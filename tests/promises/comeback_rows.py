"""Row P7: what players send is executed once at most, and what they hear is in order, whenever their lines break."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import gevent

from firefly_core import command, push
from firefly_core.testing import Conditions, InProcessCluster, virtual_time
from tests.promises.ledger import Outcome, Row
from tests.promises.player_rows import TOML, login
from tests.promises.virtual_bot import VirtualBot

__all__ = ["ROWS"]

PORTS = [11010, 11020]
LINES = (("bot", "east-1"), ("bot", "west-1"))
LINKS = (("east-1", "hub-1"), ("west-1", "hub-1"), ("world-1", "east-1"), ("world-1", "west-1"))
PLAYERS = 4
SECONDS, REST = 60.0, 40.0
WAY = 0.005
news = push(2001, name="news")
order: dict[int, list[int]] = {}
"""What was executed, by player."""


@command(2)
def catch(ctx, number: int) -> int:
    order.setdefault(ctx.uid, []).append(number)
    gevent.sleep(random.Random(number).choice((0, 0, 0.005, 0.05)))
    ctx.session.push(news, number)
    return number


def p7_comebacks(count: int) -> Outcome:
    """Four players for a minute in each of `count` clusters, whose lines, links and gates break."""
    wrong: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    sent = resyncs = 0
    for seed in range(1, count + 1):
        for bot in _played(seed):
            wrong.update(_faults(bot))
            errors += bot.errors
            sent += bot.sent
            resyncs += bot.resyncs
    figure = (
        f"{sum(wrong.values())} wrong of {sent:,} requests in {count:,} clusters, {resyncs:,} takeovers; "
        f"errors {dict(errors)}" + (f"; {dict(wrong)}" if wrong else "")
    )
    return Outcome(sent, figure, not wrong and not set(errors) - {"unavailable", "disconnected", "timeout"})


def _played(seed: int) -> list[VirtualBot]:
    """Let players play in one cluster while it breaks; in every other one the gates stay."""
    chance = random.Random(seed)
    order.clear()
    with (
        virtual_time(seed=seed, limit=1e9),
        InProcessCluster(TOML, handlers={"world": [login, catch]}, seed=seed) as made,
    ):
        made.start()
        made.wait(lambda: len(made.kernel("hub").mesh.peers) == 2)
        assert made.network is not None
        made.network.set_conditions("*", "*", Conditions(delay=WAY))
        ports = PORTS if seed % 2 else [chance.choice(PORTS)]
        bots = [VirtualBot(made.network, ports, uid, random.Random(seed * 100 + uid)) for uid in range(PLAYERS)]
        games = [gevent.spawn(bot.play, SECONDS, REST) for bot in bots]
        ends = bots[0].now + SECONDS
        while bots[0].now < ends:
            _break(made, chance, everything=bool(seed % 2))
            gevent.sleep(chance.choice((0.01, 0.1, 0.3, 1)))
        gevent.joinall(games, raise_error=True)
        return bots


def _break(made: InProcessCluster, chance: random.Random, *, everything: bool) -> None:
    assert made.network is not None
    what = chance.random()
    if what < 0.5:
        made.network.reset(*chance.choice((*LINES, *LINES, *LINES, *LINKS) if everything else LINES))
    elif what < 0.56 and everything:
        victim = chance.choice(("hub", "east", "west"))
        if f"{victim}-1" in made.kernels:
            made.crash(victim)
            gevent.spawn_later(chance.uniform(0, 3), made.restart, victim, wait=False)


def _faults(bot: VirtualBot) -> list[str]:
    executed = order.get(bot.uid, [])
    found = list(bot.faults)
    found += ["executed twice"] * (len(executed) - len(set(executed)))
    found += ["executed out of order" for one, next_one in itertools.pairwise(executed) if one > next_one]
    found += ["answered and not executed"] * len(set(bot.answered) - set(executed))
    found += ["never ended"] * len(bot.open)
    if not bot.resyncs and bot.logins == 1:
        found += ["never heard"] * len(set(executed) - set(bot.heard))
    return found


ROWS = [
    Row(
        "P7",
        "what is sent is executed once at most, what is pushed comes in order, whatever breaks",
        p7_comebacks,
        1,
        100,
    ),
]
