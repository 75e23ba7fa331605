"""Bots that play the meadow: they walk to the nearest firefly, catch it, chat now and then, and count what happens.

    python -m example_game.bot --count 5 --seconds 30

Every command ends in exactly one of: a reply, an error with a code, a lost connection. One that did not end in time is
`hung`; there must be none, whatever dies meanwhile, and the exit status is 1 if there is.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs

from example_game.client import CATCH, CAUGHT, LOGIN, MOVE, SAY, TOP, WORLD, Client, Refused

__all__ = ["Bot", "Tally", "main", "play"]

PAUSE = 0.12  # seconds between two commands of a bot
FIRST_DELAY, LAST_DELAY = 0.1, 1.0  # between two tries to connect
ANSWER_TIMEOUT = 5.0
SAYINGS = ("what a night!", "mine!", "so many of them", "look, a blue one", "shh, they are listening")


@attrs.define
class Tally:
    """What bots have counted; silence is measured in seconds."""

    replies: Counter[int] = attrs.Factory(Counter)
    errors: Counter[str] = attrs.Factory(Counter)
    pushes: Counter[int] = attrs.Factory(Counter)
    lost: int = 0
    """Connections that ended while they were used."""
    hung: int = 0
    """Commands that did not end in time."""
    points: int = 0
    longest_silence: float = 0.0
    """The longest time between two replies of one bot."""

    def add(self, other: Tally) -> None:
        """Add what another bot has counted."""
        self.replies += other.replies
        self.errors += other.errors
        self.pushes += other.pushes
        self.lost += other.lost
        self.hung += other.hung
        self.points += other.points
        self.longest_silence = max(self.longest_silence, other.longest_silence)

    def lines(self) -> list[str]:
        """Give the counts as text, a line each."""
        errors = ", ".join(f"{code} {count}" for code, count in self.errors.most_common()) or "none"
        return [
            f"replies   {self.replies.total()}",
            f"pushes    {self.pushes.total()}",
            f"errors    {errors}",
            f"points    {self.points}",
            f"lost      {self.lost} connections",
            f"silence   {self.longest_silence:.2f} s at most",
            f"hung      {self.hung}",
        ]


class Bot:
    """One player. `run` plays until `ends`, by `time.monotonic()`, and comes back by itself after every loss."""

    def __init__(self, name: str, address: tuple[str, int], ends: float, chance: random.Random) -> None:
        self.name = name
        self.address = address
        self.ends = ends
        self.chance = chance
        self.tally = Tally()
        self.place = (0.0, 0.0)
        self.reach = 0.0
        self.fireflies: dict[int, tuple[float, float]] = {}
        self._in = False
        self._last_reply = time.monotonic()

    def run(self) -> Tally:
        """Play, and give what was counted."""
        delay = FIRST_DELAY
        while self.left > 0:
            try:
                client = Client(*self.address, timeout=ANSWER_TIMEOUT)
            except OSError:
                time.sleep(min(delay, self.left))
                delay = min(LAST_DELAY, delay * 1.6)
                continue
            delay = FIRST_DELAY
            try:
                self._play(client)
            except TimeoutError:
                self.tally.hung += 1
            except OSError:
                self.tally.lost += 1
            finally:
                client.close()
        self._note_silence()
        return self.tally

    @property
    def left(self) -> float:
        """Seconds that are left to play."""
        return max(0.0, self.ends - time.monotonic())

    def _play(self, client: Client) -> None:
        self._in = False
        while self.left > 0:
            try:
                self._step(client)
            except Refused as error:
                self.tally.errors[error.code] += 1
                if error.code in ("not_here", "login_first"):
                    self._in = False  # the world was restarted and does not know us any more
            wait = time.monotonic() + PAUSE
            while (left := min(wait, self.ends) - time.monotonic()) > 0:
                for push, body in client.pushes(left):
                    self._hear(push, body)

    def _step(self, client: Client) -> None:
        """Do one thing."""
        if not self._in:
            self._look(self._ask(client, LOGIN, name=self.name))
            self._in = True
            return
        wish = self.chance.random()
        if wish < 0.02:
            self._ask(client, SAY, text=self.chance.choice(SAYINGS))
        elif wish < 0.05:
            self._ask(client, TOP)
        elif self.fireflies:
            nearest = min(self.fireflies, key=lambda firefly: math.dist(self.place, self.fireflies[firefly]))
            if math.dist(self.place, self.fireflies[nearest]) < self.reach:
                self._ask(client, CATCH, firefly=nearest)
            else:
                x, y = self.fireflies[nearest]
                answer = self._ask(client, MOVE, x=x, y=y)
                self.place = (answer["x"], answer["y"])

    def _ask(self, client: Client, command: int, **body: Any) -> Any:
        answer = client.call(command, **body)
        self.tally.replies[command] += 1
        self._note_silence()
        return answer

    def _note_silence(self) -> None:
        now = time.monotonic()
        self.tally.longest_silence = max(self.tally.longest_silence, now - self._last_reply)
        self._last_reply = now

    def _look(self, welcome: Any) -> None:
        self.reach = welcome["reach"]
        self.fireflies.clear()
        self._see(welcome["world"])
        self.place = next((p["x"], p["y"]) for p in welcome["world"]["players"] if p["id"] == welcome["you"])

    def _hear(self, push: int, body: Any) -> None:
        self.tally.pushes[push] += 1
        if push == WORLD:
            self._see(body)
        elif push == CAUGHT:
            self.fireflies.pop(body["firefly"], None)
            if body["name"] == self.name:
                self.tally.points += body["points"]

    def _see(self, world: Any) -> None:
        if world["full"]:
            self.fireflies.clear()
        self.fireflies.update((firefly["id"], (firefly["x"], firefly["y"])) for firefly in world["fireflies"])


def play(
    count: int, seconds: float, address: tuple[str, int] = ("127.0.0.1", 11009), prefix: str = "bot", seed: int = 0
) -> Tally:
    """Let `count` bots play for so many seconds, each in a thread of its own, and give what they counted together."""
    ends = time.monotonic() + seconds
    bots = [Bot(f"{prefix}{number}", address, ends, random.Random(f"{seed}/{number}")) for number in range(count)]  # noqa: S311
    threads = [threading.Thread(target=bot.run, daemon=True) for bot in bots]
    for thread in threads:
        thread.start()
    tally = Tally()
    for thread, bot in zip(threads, bots, strict=True):
        thread.join(max(0.0, ends - time.monotonic()) + 2 * ANSWER_TIMEOUT)
        bot.tally.hung += thread.is_alive()
        tally.add(bot.tally)
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bots that the command line asks for and print what they counted."""
    parser = argparse.ArgumentParser(prog="python -m example_game.bot", description="Bots that play Firefly Meadow.")
    parser.add_argument("--count", type=int, default=5, help="how many bots (1 to 200)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they play (at most 3600)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=11009, help="the gate's datapack port")
    parser.add_argument("--seed", type=int, default=0, help="another number, another game")
    options = parser.parse_args(arguments)
    if not 1 <= options.count <= 200 or not 0 < options.seconds <= 3600:
        parser.error("--count is 1 to 200, --seconds up to 3600")
    tally = play(options.count, options.seconds, (options.host, options.port), seed=options.seed)
    sys.stdout.write(f"{options.count} bots, {options.seconds:g} s\n" + "\n".join(tally.lines()) + "\n")
    return 1 if tally.hung or not tally.replies.total() else 0


if __name__ == "__main__":
    sys.exit(main())
