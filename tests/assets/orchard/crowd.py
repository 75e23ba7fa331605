"""The players: `python crowd.py URL COUNT SEED` plays until its input says `stop`, then prints what they saw."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Any

from firefly_client import AsyncClient, FireflyError, State
from firefly_client.aio import AsyncLogin

AT_ONCE = 3
PAUSE = (0.5, 2.5)
LAST_TRIES = 30.0


class Player:
    """One player, who numbers his catches and never sends a number twice."""

    def __init__(self, uid: int, url: str, chance: random.Random) -> None:
        self.uid = uid
        self.chance = chance
        self.client = AsyncClient(url, login=self.log_in)
        self.client.on_state(self.note_state)
        self.client.on("wind", self.hear)
        self.client.on_resync(self.note_resync)
        self.number = 0
        self.counted: list[int] = []
        """The catches that were answered."""
        self.errors: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.faults: list[str] = []
        """What must never be seen."""
        self.longest = 0.0
        """Seconds without an answer, at most."""
        self.gusts: dict[str, int] = {}
        self.heard = asyncio.Event()

    def note(self, event: str) -> None:
        self.events[event] += 1

    def note_resync(self) -> None:
        self.note("resyncs")

    async def log_in(self, line: AsyncLogin) -> None:
        await line.request("login", self.uid)
        self.note("logins")

    def note_state(self, state: State, reason: str) -> None:
        self.note(f"state {state}")
        if state is State.WAITING:
            self.note(f"lost: {reason.partition(':')[0]}")
        if state is State.ENDED and reason != "closed":
            self.faults.append(f"sent away: {reason}")

    def hear(self, gust: list[Any]) -> None:
        """Note a push; of one world each comes once, and in order."""
        run, number = gust
        self.note("pushes")
        self.heard.set()
        if number <= self.gusts.get(run, 0):
            self.faults.append(f"push {number} of {run} behind {self.gusts[run]}")
        self.gusts[run] = number

    async def play(self, stopped: asyncio.Event) -> None:
        await self.client.connect(30)
        answered = time.monotonic()
        while not stopped.is_set():
            if any(await asyncio.gather(*(self.catch() for _ in range(AT_ONCE)))):
                self.longest = max(self.longest, time.monotonic() - answered)
                answered = time.monotonic()
            await asyncio.sleep(self.chance.uniform(*PAUSE))
        ends = time.monotonic() + LAST_TRIES
        while not await self.catch():
            if time.monotonic() > ends:
                self.faults.append("the servers have not come back")
                break
            await asyncio.sleep(0.5)
        self.heard.clear()
        try:
            await asyncio.wait_for(self.heard.wait(), LAST_TRIES)
        except TimeoutError:
            self.faults.append("hears nothing any more")
        await self.client.close()

    async def catch(self) -> bool:
        """Catch something; whether it was answered with a value."""
        self.number += 1
        number = self.number
        try:
            uid, same, _ = await self.client.request("catch", number)
        except FireflyError as error:
            # Without a line it is his own client that ran out of patience: he sees that it reconnects.
            reconnecting = error.code == "timeout" and self.client.state is not State.OPEN
            self.errors["reconnecting" if reconnecting else error.code] += 1
            return False
        if (uid, same) != (self.uid, number):
            self.faults.append(f"the answer of {uid} {same} for {self.uid} {number}")
        self.counted.append(number)
        return True


async def main(url: str, count: int, seed: int) -> None:
    players = [Player(uid, url, random.Random(seed + uid)) for uid in range(1, count + 1)]
    stopped = asyncio.Event()
    games = asyncio.gather(*(player.play(stopped) for player in players))
    print("playing", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    stopped.set()
    await games
    total: Counter[str] = sum((player.errors for player in players), Counter())
    events: Counter[str] = sum((player.events for player in players), Counter())
    told = {
        "sent": sum(player.number for player in players),
        "counted": {player.uid: player.counted for player in players},
        "errors": total,
        "events": events,
        "faults": [f"player {player.uid}: {fault}" for player in players for fault in player.faults],
        "longest": max(player.longest for player in players),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
