"""What bots see while servers die: `make test ARGS="tests/game/test_faults.py -s"` prints how long they were out."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from example_game.bot import Bot
from example_game.client import LOGIN, Client

PROMISED = 3.0  # seconds from the kill until every bot plays again
CEILING = 5 * PROMISED  # what a busy machine is allowed here; what it took is printed
PATIENCE = 2 * CEILING  # of bots: who connects while the gate is away is answered by the new one
HARMLESS = {"unavailable", "not_here", "gone", "too_far", "rate_limited"}


class Crowd:
    """Bots that play in this process until they are told to stop."""

    def __init__(self, port: int, count: int = 4) -> None:
        ends = time.monotonic() + 50
        self.bots = [Bot(f"bot{n}", ("127.0.0.1", port), ends, random.Random(n)) for n in range(count)]
        self.greenlets = [gevent.spawn(bot.run) for bot in self.bots]

    def replies(self) -> list[int]:
        return [bot.tally.replies.total() for bot in self.bots]

    def all_play(self, since: list[int]) -> bool:
        """Whether every bot has had five replies more than then."""
        return all(now >= then + 5 for now, then in zip(self.replies(), since, strict=True))

    def stop(self) -> None:
        for bot in self.bots:
            bot.ends = time.monotonic()
        gevent.joinall(self.greenlets, timeout=PATIENCE + 5, raise_error=True)
        assert all(greenlet.dead for greenlet in self.greenlets)

    def errors(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for bot in self.bots:
            for code, count in bot.tally.errors.items():
                total[code] = total.get(code, 0) + count
        return total


@pytest.fixture
def crowd(house, wait_until, monkeypatch) -> Iterator[Callable[[], Crowd]]:
    """Give a function that lets bots play and waits until all do."""
    monkeypatch.setattr("example_game.bot.ANSWER_TIMEOUT", PATIENCE)
    crowds: list[Crowd] = []

    def begin() -> Crowd:
        crowds.append(Crowd(house.datapack))
        wait_until(lambda: crowds[-1].all_play([0] * 4), "all bots play")
        return crowds[-1]

    yield begin
    for made in crowds:
        made.stop()


def time_until_all_play(crowd: Crowd, wait_until: Callable[..., Any], what: str) -> float:
    """Wait until every bot has had replies again, and give (and print) the seconds until its first."""
    began = time.monotonic()
    before = crowd.replies()
    wait_until(lambda: all(now > then for now, then in zip(crowd.replies(), before, strict=True)), what, CEILING)
    took = time.monotonic() - began
    print(f"{what}: {took:.2f} s, promised {PROMISED:g} s")
    return took


def test_the_world_dies_and_commands_end_in_unavailable_until_it_is_back(house, crowd, wait_until) -> None:
    house.start()
    bots = crowd()
    house.kill("world-1")
    wait_until(lambda: all(bot.tally.errors["unavailable"] for bot in bots.bots), "every bot is told")
    time_until_all_play(bots, wait_until, "playing after kill -9 of the world")
    since = bots.replies()
    wait_until(lambda: bots.all_play(since), "all bots play on")
    bots.stop()
    assert [bot.tally.hung for bot in bots.bots] == [0, 0, 0, 0]
    assert [bot.tally.lost for bot in bots.bots] == [0, 0, 0, 0]
    assert set(bots.errors()) <= HARMLESS, bots.errors()


def test_the_gate_dies_and_bots_and_world_come_back_to_the_new_one(house, crowd, wait_until) -> None:
    house.start()
    bots = crowd()
    world = house.pid("world-1")
    house.kill("gate-1")
    wait_until(lambda: all(bot.tally.lost for bot in bots.bots), "every bot loses its connection")
    time_until_all_play(bots, wait_until, "playing after kill -9 of the gate")
    since = bots.replies()
    wait_until(lambda: bots.all_play(since), "all bots play on")
    bots.stop()
    assert [bot.tally.hung for bot in bots.bots] == [0, 0, 0, 0]
    assert set(bots.errors()) <= HARMLESS, bots.errors()
    assert house.pid("world-1") == world


def test_both_die_at_once_and_the_game_goes_on(house, crowd, wait_until) -> None:
    house.start()
    bots = crowd()
    house.kill("world-1")
    house.kill("gate-1")
    wait_until(lambda: all(bot.tally.lost for bot in bots.bots), "every bot loses its connection")
    time_until_all_play(bots, wait_until, "playing after kill -9 of both")
    bots.stop()
    assert sum(bot.tally.hung for bot in bots.bots) == 0
    assert set(bots.errors()) <= HARMLESS, bots.errors()


@pytest.mark.parametrize("order", [("world", "gate"), ("gate", "world")])
def test_the_order_in_which_servers_start_does_not_matter(house, crowd, wait_until, order) -> None:
    secret = {"FIREFLY_SECRET": "known to both of them"}
    for server in order:
        house.run("--only", server, **secret)
        house.wait_log(f"server={server}-1 event=ready")
    bots = crowd()
    bots.stop()
    assert sum(bot.tally.hung for bot in bots.bots) == 0
    assert set(bots.errors()) <= HARMLESS, bots.errors()


def test_who_was_in_the_meadow_when_the_gate_died_is_not_left_standing_there(house, crowd, wait_until) -> None:
    house.start()
    bots = crowd()
    bots.stop()
    ghost = Bot("ghost", ("127.0.0.1", house.datapack), time.monotonic() + 30, random.Random(1))
    playing = gevent.spawn(ghost.run)
    wait_until(lambda: ghost.tally.replies.total() > 3, "the ghost plays")
    house.kill("gate-1")
    ghost.ends = 0.0
    playing.join(timeout=PATIENCE + 5)
    later = crowd()

    def seen() -> set[str]:
        client = Client("127.0.0.1", house.datapack)
        try:
            return {player["name"] for player in client.call(LOGIN, name="looker")["world"]["players"]}
        finally:
            client.close()

    wait_until(lambda: "ghost" not in seen(), "the ghost is gone", 15)
    later.stop()
