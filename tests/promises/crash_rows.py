"""Rows A31, A33, A43, C9 and C10: owners that are killed, and owners that are asked to stop."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent

from tests.promises import lab
from tests.promises.crash import POINTS, Death, Nest
from tests.promises.ledger import Outcome, Row
from tests.promises.models import Hero, Score, Tale

__all__ = ["ROWS"]

LIVES = 60
"""Lives in one folder, before a new one is taken."""


def rule_of_three(tries: int) -> str:
    """Say what a zero of so many tries bounds."""
    return f"<= {300 / tries:.2g} % at 95 %" if tries else "nothing"


def lives(count: int, how: Iterator[dict[str, Any]]) -> tuple[int, int, list[str]]:
    """Let so many owners live and die, each checked by the next; gives kills, checks and what was wrong."""
    nest = Nest()
    wrong: list[str] = []
    kills = checks = 0
    try:
        while kills < count:
            with tempfile.TemporaryDirectory(dir=lab.MEMORY) as name:
                folder = Path(name)
                for each in itertools.islice(how, min(LIVES, count - kills)):
                    death = nest.life(folder, seed=random.randrange(10**9), **each)
                    kills += death.status == signal.SIGKILL
                    checks += death.checked
                    wrong += death.wrong
                    if death.status != signal.SIGKILL:
                        wrong.append(f"it was not killed: {death}")
                        return kills, checks, wrong
                last: Death = nest.life(folder, counter=each.get("counter", "Hero"))
                checks += last.checked
                wrong += last.wrong
    finally:
        nest.close()
    return kills, checks, wrong


def told(kills: int, where: str, checks: int, wrong: list[str]) -> str:
    """Say what came of kills."""
    trades = "" if wrong else ", the sum of gold and the items of trades the same in each"
    figure = f"{len(wrong)} lost or wrong of {kills:,} kills{where} ({rule_of_three(kills)}), {checks:,} states checked"
    return figure + trades + "".join(wrong[:1])


def a31_kills(count: int) -> Outcome:
    """Kill owners within 200 ms: mostly after they began to serve, now and then while they start and replay."""
    generator = random.Random()

    def how() -> Iterator[dict[str, Any]]:
        while True:
            yield {"lifetime": generator.uniform(0.0, 0.2), "begin": generator.choice(("checked",) * 4 + ("started",))}

    kills, checks, wrong = lives(count, how())
    return Outcome(kills, told(kills, "", checks, wrong), not wrong)


def c10_points(count: int) -> Outcome:
    """Kill owners at every named point of their path, by turns."""
    generator = random.Random()
    done: dict[str, int] = dict.fromkeys(POINTS, 0)

    def how() -> Iterator[dict[str, Any]]:
        yield {"lifetime": 0.1, "begin": "checked"}
        for point in itertools.cycle(POINTS):
            if "replay" in point:
                yield {"lifetime": 0.03, "begin": "checked"}
            if point == "second_replay":
                yield {"point": "replay"}
            keys = {"flush_interval": 0.5} if "checkpoint" in point else {}
            hits = 1 if "replay" in point or point == "checkpoint_overtaken" else generator.randint(1, 6)
            done[point] += 1
            yield {"point": point, "hits": hits, "keys": keys}

    kills, checks, wrong = lives(count, how())
    return Outcome(kills, told(kills, f" at {len(POINTS)} points", checks, wrong), not wrong)


def fsync_kills(count: int) -> Outcome:
    """Kill owners whose changes wait for the disk."""
    generator = random.Random()

    def how() -> Iterator[dict[str, Any]]:
        while True:
            yield {"lifetime": generator.uniform(0.0, 0.2), "begin": "checked", "counter": "Account"}

    kills, checks, wrong = lives(count, how())
    return Outcome(kills, told(kills, "", checks, wrong), not wrong)


# ------------------------------------------------------------------------------------------------------ async, A33

ASYNC = """
from gevent import monkey; monkey.patch_all()
import os, sys, time, pathlib, gevent
from tests.promises import lab
from tests.promises.models import Score
folder = pathlib.Path(sys.argv[1])
owner = lab.make_owner(folder, [Score], flush_interval=0.25)
owner.start()
gevent.sleep(0)
db = lab.OwnedHandle(owner)
score = db.create(Score)
notes = os.open(folder / "notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
end = time.monotonic() + 30
while time.monotonic() < end:
    score.points += 1
    db.save(score)
    os.write(notes, f"{score.points} {time.time()}\\n".encode())
    gevent.sleep(0.001)
"""


def child(source: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a program of the tests."""
    path = os.pathsep.join(part for part in sys.path if part)
    return subprocess.Popen(
        [sys.executable, "-c", source, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        cwd=Path(__file__).parents[2],
    )


def a33_async(count: int) -> Outcome:
    """Kill owners of rows in the mode `async`; measure how old the oldest lost acknowledgement was."""
    generator = random.Random()
    worst = 0.0
    for _ in range(count):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            process = child(ASYNC, name)
            try:
                lab.wait_until(lambda f=folder: (f / "notes").exists() and (f / "notes").stat().st_size > 2000, 30)  # type: ignore[misc]
                gevent.sleep(generator.uniform(0, 0.3))
            finally:
                killed = time.time()
                process.kill()
                process.wait()
            notes = [line.split() for line in (folder / "notes").read_text().splitlines()]
            with lab.running(folder, [Score]) as db:
                rows = db.many(Score, [1])
            kept = rows[0].points if rows else 0
            lost = [float(moment) for points, moment in notes if int(points) > kept]
            worst = max(worst, killed - min(lost, default=killed))
    return Outcome(count, f"at most {worst * 1000:.0f} ms of acknowledgements lost", worst <= 0.3 * 5)


# ------------------------------------------------------------------------------------------------- a long journal, C9


def c9_recovery(count: int) -> Outcome:
    """Replay a journal of `count` megabytes; the promise is 2 s for each 100 MB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        owner = lab.make_owner(folder, [Tale], flush_interval=60.0)
        owner.start()
        gevent.sleep(0)
        db = lab.OwnedHandle(owner)
        key, size = 0, count * 1_000_000
        while owner.journal.bytes < size:
            key += 1
            db.create(Tale, text=f"{key:>230}")
        size = owner.journal.bytes
        lab.abandon(owner)
        again = lab.make_owner(folder, [Tale], flush_interval=60.0)
        cpu = time.process_time()
        again.start()
        cpu = (time.process_time() - cpu) / (size / 100_000_000)
        seconds = again.recovery_time / (size / 100_000_000)
        right = lab.OwnedHandle(again).get(Tale, key).text.strip() == str(key) and again.recovered == key
        lab.abandon(again)
    figure = f"{seconds:.2f} s for each 100 MB ({cpu:.2f} s of CPU), {key:,} records of {size // key} bytes read back"
    ceiling = 5 * 2.0 * max(1.0, size / 100_000_000)  # a small one is not judged by what the disk does beside it
    return Outcome(key, figure, right and again.recovery_time <= ceiling)


# ------------------------------------------------------------------------------------------------- asked to stop, A43

SERVER = """
[firefly]
name = "stop"
plugins = ["root", "db-cache"]
[servers.db]
handlers = ["tests.promises.busy"]
[servers.db.db-cache]
database = "sqlite:///game.db"
journal = "journal"
models = ["tests.promises.models"]
slack = 65536
"""


def a43_stop(count: int) -> Outcome:
    """Send TERM to a server under load; everything must be in the database when it has ended with 0."""
    slowest, wrong = 0.0, 0
    for _ in range(count):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "firefly.toml").write_text(SERVER)
            program = [sys.executable, "-m", "firefly_core.run", "-c", str(folder / "firefly.toml"), "--only", "db"]
            path = os.pathsep.join(part for part in sys.path if part)
            with (folder / "log").open("wb") as log:
                about = {**os.environ, "PYTHONPATH": path, "NOTES": str(folder / "notes")}
                process = subprocess.Popen(program, env=about, stdout=log, stderr=log)
            try:
                lab.wait_until(lambda f=folder: (f / "notes").exists() and (f / "notes").stat().st_size > 500, 30)  # type: ignore[misc]
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                code = process.wait(30)
                slowest = max(slowest, time.monotonic() - began)
            finally:
                process.kill()
                process.wait()
            noted = int((folder / "notes").read_text().split()[-1])
            with lab.running(folder) as db:
                found = db.get(Hero, 1).gold
                wrong += code != 0 or db.owner.recovered != 0 or found not in (noted, noted + 1)
    figure = f"{wrong} of {count} left anything unflushed or another status than 0; the slowest took {slowest:.1f} s"
    return Outcome(count, figure, not wrong and slowest <= 20)


ROWS = [
    Row("A31", "an acknowledged change survives kill -9 of the owner (journal)", a31_kills, 6, 3_000),
    Row("A33", "async loses at most 250 + 50 ms of acknowledgements", a33_async, 1, 300),
    Row("A43", "a stop under load flushes everything", a43_stop, 1, 100),
    Row("C9", "a journal is replayed within 2 s for each 100 MB", c9_recovery, 5, 100),
    Row("C10", "an acknowledged change survives kill -9 at every named point", c10_points, 14, 1_200),
    Row("A31f", "an acknowledged change survives kill -9 of the owner (fsync)", fsync_kills, 4, 1_000),
]
