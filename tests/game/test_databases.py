"""The Meadow on PostgreSQL and memcached, as `make run CACHE=... DATABASE=...` starts it: two bots play and trade."""

from __future__ import annotations

import random
import shlex
import subprocess
import time
from pathlib import Path

import gevent

from example_game.bot import Bot
from example_game.client import LOGIN, Client
from tests.promises import servers

ROOT = Path(__file__).parents[2]
GIVE = 107


def flags_of_make(**variables: str) -> list[str]:
    """Give the arguments with which `make run` would start the game."""
    command = ["make", "--no-print-directory", "-n", "run", *(f"{name}={value}" for name, value in variables.items())]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    program, *arguments = shlex.split(told.splitlines()[-1])
    assert program.endswith("firefly-run")
    return arguments


def play(names: list[str], port: int, enough) -> None:
    """Let bots play until `enough()`."""
    ends = time.monotonic() + 60
    bots = [Bot(name, ("127.0.0.1", port), ends, random.Random(name)) for name in names]
    greenlets = [gevent.spawn(bot.run) for bot in bots]
    while not enough() and time.monotonic() < ends:
        gevent.sleep(0.05)
    for bot in bots:
        bot.ends = 0.0
    gevent.joinall(greenlets, timeout=12, raise_error=True)
    assert enough()


def come_in(name: str, port: int) -> tuple[Client, int]:
    """Log in; gives the hero's gold too."""
    client = Client("127.0.0.1", port)
    return client, client.call(LOGIN, name=name)["gold"]


def test_two_bots_trade_on_postgresql_and_memcached(house, wait_until) -> None:
    with servers.running(servers.Postgres) as postgres, servers.running(servers.Memcached) as memcached:
        flags = flags_of_make(CACHE=memcached.url, DATABASE=postgres.fresh("meadow"))
        house.run(*flags)
        house.wait_log("all servers ready")

        def purses() -> dict[str, int]:
            lines = postgres.sql("SELECT key, gold FROM hero", "meadow").splitlines()
            return {key: int(gold) for key, gold in (line.split("|") for line in lines)}

        play(["ann", "bob"], house.datapack, lambda: sum(purses().values()) > 0)
        (ann, gold), (bob, other) = come_in("ann", house.datapack), come_in("bob", house.datapack)
        rich, poor, gift = (ann, "bob", gold) if gold else (bob, "ann", other)
        assert rich.call(GIVE, to=poor, gold=gift)["gold"] == 0
        wait_until(
            lambda: purses() == {poor: gold + other, ({"ann", "bob"} - {poor}).pop(): 0}, "both purses are stored"
        )
        for client in (ann, bob):
            client.close()
        house.stop()
        stored = next(line for line in memcached.ask("stats").splitlines() if "cmd_set" in line)
        assert int(stored.split()[-1]) > 0
