"""Row A44 (C20 too): servers that crash again and again, in virtual time and for real."""

from __future__ import annotations

import os
import random
import time
from collections import deque
from pathlib import Path

from firefly_core.kernel.supervisor.backoff import Backoff, Restarts
from tests.promises.ledger import Outcome, Row
from tests.promises.operated_game import operated_game
from tests.promises.supervisor_rows import TOML

__all__ = ["ROWS"]

LOOP = """
import os, sys
from firefly_core import command

if "--only" in sys.argv:
    os._exit(1)

@command(1, public=True)
def nothing(ctx): ...
"""


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def virtual_loop(chance: random.Random) -> tuple[int, bool]:
    """Let one server crash again and again, without waiting; gives the starts within a minute, and if all was right."""
    policy = Restarts()
    backoff = Backoff(policy, chance)
    now, expected = 0.0, policy.first
    recent: deque[float] = deque()
    most, right = 0, True
    life = chance.choice([0.0, 0.3, 5.0, 20.0])
    for _ in range(60):
        began = now
        now += chance.uniform(0, life)
        recent.append(now)
        while now - recent[0] > policy.window:
            recent.popleft()
        most = max(most, len(recent))
        delay = backoff.fail(now, began)
        if delay is None:
            return most, right and len(recent) == policy.failures
        right &= len(recent) < 5 and abs(delay / expected - 1) <= policy.jitter + 1e-9
        expected = min(expected * policy.factor, policy.longest)
        now += delay
    return most, right


def a44_crash_loops(count: int) -> Outcome:
    """Count crash loops in virtual time; from a thousand on, real ones too: four rounds of five servers each."""
    chance = random.Random(44)
    told = [virtual_loop(chance) for _ in range(count)]
    most, wrong = max(starts for starts, _ in told), sum(not right for _, right in told)
    figure = f"at most {most} starts in 60 s, {wrong} of {count:,} loops in virtual time wrong"
    real, given_up, busy, unhurt = 0, 0, 0.0, True
    if count >= 1000:
        with operated_game(
            TOML.replace("[servers.world]", "[servers.world]\nreplicas = 5"), {"world": LOOP}, wait=False
        ) as game:
            for turn in range(4):
                began, used = time.monotonic(), cpu_seconds(game.process.pid)
                if turn:
                    game.run("restart", "world", "--force")
                names = [f"world-{number}" for number in range(1, 6)]
                states = [game.wait_state(name, "fatal", timeout=90.0) for name in names]
                busy = max(busy, (cpu_seconds(game.process.pid) - used) / (time.monotonic() - began))
                real += 5
                given_up += sum(state["starts"] == 5 * (turn + 1) for state in states)
            gate = game.wait_state("gate-1", "ready")
            unhurt = gate["starts"] == 1
        figure += f"; {given_up} of {real} real ones given up after 5 starts, the supervisor at {busy:.1%} of a core"
    kept = most <= 5 and not wrong and given_up == real and unhurt and busy <= 0.05
    return Outcome(count + real, figure, kept)


ROWS = [
    Row("A44", "what crashes again and again is given up, not sooner and not later", a44_crash_loops, 300, 20_000),
]
