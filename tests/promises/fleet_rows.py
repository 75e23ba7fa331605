"""Rows A37, A38 and C11: several processes at one row."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent

from tests.promises import lab
from tests.promises.fleet import Fleet
from tests.promises.hatchery import Hatchery
from tests.promises.ledger import Outcome, Row
from tests.promises.models import Hero

__all__ = ["ROWS"]

PROCESSES = 8


@contextmanager
def running_fleet(rows: int) -> Iterator[Fleet]:
    """Run an owner with some heroes in its database, cold."""
    with tempfile.TemporaryDirectory() as name:
        fleet = Fleet(Path(name))
        try:
            fleet.start("db-1", "make", rows=rows)
            fleet.result("db-1")
            yield fleet
        finally:
            fleet.stop()


def a37_increments(count: int) -> Outcome:
    """Let processes count one row up, by `update`, all at once."""
    processes = PROCESSES if count >= 1000 else 2
    each = count // processes
    with running_fleet(1) as fleet:
        for number in range(1, processes + 1):
            fleet.start(f"world-{number}", "count", times=each)
        told = [fleet.result(f"world-{number}", 1500) for number in range(1, processes + 1)]
        fleet.stop()
        with lab.running(fleet.folder) as db:
            final = db.get(Hero, 1).gold
        conflicts = json.loads((fleet.folder / "figures.json").read_text())["conflicts"]
    slowest = max((result.get("seconds", 0.0) for result in told), default=0.0)
    wrong = [result["error"] for result in told if "error" in result]
    rate = conflicts / max(1, each * processes)
    figure = f"{final:,} of {each * processes:,} by {processes} processes, {rate:.2f} conflicts each, {slowest:.0f} s"
    return Outcome(each * processes, figure + "".join(wrong[:1]), final == each * processes and not wrong)


def a38_herd(count: int) -> Outcome:
    """Let the greenlets of four processes want one cold row at the same moment."""
    processes = 4 if count >= 100 else 2
    with running_fleet(1) as fleet:
        for number in range(1, processes + 1):
            fleet.start(f"world-{number}", "crowd", readers=count // processes)
        lab.wait_until(lambda: len(list(fleet.folder.glob("ready-*"))) == processes, 60)
        before = json.loads((fleet.folder / "figures.json").read_text())["reads"]
        (fleet.folder / "go").touch()
        told = [fleet.result(f"world-{number}") for number in range(1, processes + 1)]
        gevent.sleep(0.2)
        reads = json.loads((fleet.folder / "figures.json").read_text())["reads"] - before
    right = all(result == {"names": 1} for result in told)
    figure = f"{reads} database read for {count} readers in {processes} processes"
    return Outcome(count, figure, right and reads == 1)


def _kill_a_saver(fleet: Fleet, hatchery: Hatchery, number: int, patience: float) -> None:
    """Let a server save a row of its own again and again, and kill it right after one was acknowledged."""
    notes = fleet.folder / f"notes-{number}"
    pid = hatchery.hatch("world-1", JOB=fleet.job("world-1", "save", key=number))
    try:
        lab.wait_until(lambda: notes.exists() and notes.stat().st_size, 30)
        gevent.sleep(patience)
    finally:
        hatchery.kill(pid)


def c11_nodes(count: int) -> Outcome:
    """Kill servers that use another's db-cache right after a save was acknowledged; the owner has it."""
    generator = random.Random()
    with running_fleet(count) as fleet:
        hatchery = Hatchery(fleet.file)
        try:
            for number in range(1, count + 1):
                _kill_a_saver(fleet, hatchery, number, generator.uniform(0, 0.1))
        finally:
            hatchery.close()
        fleet.start("world-2", "look", rows=count)
        found = fleet.result("world-2")["gold"]
        noted = [int((fleet.folder / f"notes-{n}").read_text().split()[-1]) for n in range(1, count + 1)]
    lost = sum(gold not in (note, note + 1) for gold, note in zip(found, noted, strict=True))
    return Outcome(count, f"{lost} lost of {count:,} kills, {sum(noted):,} saves", lost == 0)


ROWS = [
    Row("A37", "no update is lost between processes", a37_increments, 200, 100_000),
    Row("A38", "a crowd at a cold row makes one database read", a38_herd, 60, 500),
    Row("C11", "what a killed server has saved is there for the others", c11_nodes, 1, 1_000),
]
