"""The db-cache beside peewee alone: reading and saving rows, from another server too, flushing them, holding them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from benchmarks.bench import Bench
from benchmarks.places import GAME, PEERS
from benchmarks.question import ask_json
from benchmarks.subjects.firefly import running
from tests.promises.servers import Postgres
from tests.promises.servers import running as real_server

__all__ = ["CASES", "FlushCase", "RemoteRowCase", "RowMemoryCase", "StorageCase"]

PREPARE, MEASURE, PREPARE_REMOTE, MEASURE_REMOTE = 11, 12, 13, 14
IN_FLIGHT = (1, 64)
SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"


@contextlib.contextmanager
def databases(*kinds: str) -> Iterator[dict[str, str]]:
    """Give the URL of a fresh database of each kind, a folder in it for SQLite; PostgreSQL waits for its disk."""
    with contextlib.ExitStack() as stack:
        made = {}
        if SQLITE in kinds:
            made[SQLITE] = f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/heroes.db"
        if POSTGRESQL in kinds:
            made[POSTGRESQL] = stack.enter_context(real_server(Postgres)).fresh("heroes")
        yield made


def run_program(bench: Bench, program: Path, *arguments: str) -> dict[str, Any]:
    """Run a program of the benchmarks on the measured core; give the JSON of its last line."""
    done = subprocess.run(
        ["taskset", "-c", ",".join(map(str, bench.cores.server)), sys.executable, program, *arguments],
        capture_output=True,
        text=True,
        timeout=bench.seconds * 10 + 120,
        cwd=program.parent,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-500:])
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def per_answer(figures: dict[str, Any]) -> dict[str, float]:
    """Give what one answer took."""
    answers = max(1, figures["answers"])
    return {"rate": answers / figures["seconds"], "cpu_us": figures["cpu"] / answers * 1e6}


@attrs.frozen
class StorageCase:
    """A thousand rows, all in memory; `save` and `add` return when the journal has the change."""

    name: str
    title: str
    database: str
    durabilities: Sequence[str] = ("journal",)
    kinds: Sequence[str] = ("get", "where", "save", "add")

    def run(self, bench: Bench) -> None:
        """Use a fresh database for each subject in each round."""
        for _ in range(bench.rounds):
            for durability in self.durabilities:
                with databases(self.database) as made, tempfile.TemporaryDirectory() as folder:
                    self._measure(bench, durability, made[self.database], folder)
            with databases(self.database) as made:
                figures = run_program(bench, PEERS / "peewee_rows.py", made[self.database], str(bench.seconds))
            for kind, each in figures.items():
                bench.record(self.name, "peewee", f"{kind}, 1 in flight", per_answer(each))

    def _measure(self, bench: Bench, durability: str, database: str, folder: str) -> None:
        more = {"BENCH_VAR": folder, "BENCH_DURABILITY": durability, "BENCH_DATABASE": database}
        with running(bench, "storage.toml", "gate", more=more) as here:
            ask_json(here.ports["TCP"], PREPARE, None)
            for kind in self.kinds:
                if durability != self.durabilities[0] and kind in ("get", "where"):
                    continue
                for in_flight in IN_FLIGHT:
                    task = {"kind": kind, "in_flight": in_flight, "seconds": bench.seconds}
                    figures = ask_json(here.ports["TCP"], MEASURE, task)
                    load = f"{kind}, {in_flight} in flight"
                    bench.record(self.name, f"Firefly, {durability}", load, per_answer(figures))


@attrs.frozen
class RemoteRowCase:
    """A row read over the channel to its owner, beside a call over the same channel that echoes 64 bytes."""

    name: str = "db-cache-remote"
    title: str = "A row of another server's db-cache, and a bare call to the same server"
    in_flight: Sequence[int] = (1, 100)

    def run(self, bench: Bench) -> None:
        """Ask both of the same two servers, by turns, so that nothing but the question differs."""
        with tempfile.TemporaryDirectory() as folder:
            more = {"BENCH_VAR": folder}
            with running(bench, "remote_storage.toml", "owner", "user", first="ROOT", others="TCP", more=more) as here:
                ask_json(here.ports["TCP"], PREPARE_REMOTE, None)
                for _ in range(bench.rounds):
                    for in_flight in self.in_flight:
                        for kind in ("call", "get"):
                            self._measure(bench, here.ports["TCP"], here.pids[0], kind, in_flight)

    def _measure(self, bench: Bench, port: int, owner: int, kind: str, in_flight: int) -> None:
        task = {"kind": kind, "in_flight": in_flight, "seconds": bench.seconds, "watched": owner}
        figures = ask_json(port, MEASURE_REMOTE, task)
        answers = max(1, figures["answers"])
        server, own = (seconds / answers * 1e6 for seconds in figures["cpu"])
        values = {
            "rate": answers / figures["seconds"],
            "took_us": figures["seconds"] / answers * 1e6,
            "cpu_us": server,
            "caller_cpu_us": own,
            "both_cpu_us": server + own,
        }
        bench.record(self.name, f"Firefly, {kind}", f"{in_flight} in flight", values)


@attrs.frozen
class FlushCase:
    """Twenty thousand rows that wait, each with a state of its own, until the database has committed them."""

    name: str = "db-cache-flush"
    title: str = "Rows flushed into the database"

    def run(self, bench: Bench) -> None:
        """Use a fresh database in each round."""
        for _ in range(bench.rounds):
            with databases(SQLITE, POSTGRESQL) as made:
                for kind, url in made.items():
                    with tempfile.TemporaryDirectory() as folder:
                        program = GAME / "owner_alone.py"
                        figures = run_program(bench, program, "flush", url, folder, str(bench.seconds))
                    for what, rate in figures.items():
                        bench.record(self.name, "Firefly", f"{what} into {kind}", {"rate": rate})


@attrs.frozen
class RowMemoryCase:
    """What 100,000 rows in the owner's memory take beyond their own bytes, which are those of their msgpack."""

    name: str = "db-cache-memory"
    title: str = "A row in the owner's memory, above its own size"

    def run(self, bench: Bench) -> None:
        """Fill the database in one process, read it in another, so that no freed memory is used again."""
        for _ in range(bench.rounds):
            with databases(SQLITE) as made, tempfile.TemporaryDirectory() as folder:
                for kind in ("fill", "memory"):
                    figures = run_program(bench, GAME / "owner_alone.py", kind, made[SQLITE], folder, "0")
                bench.record(self.name, "Firefly", "100,000 rows", {"bytes": figures["bytes"]})


CASES = (
    StorageCase("db-cache", "db-cache on SQLite, per operation", SQLITE, ("journal", "fsync")),
    StorageCase("db-cache-postgresql", "db-cache on PostgreSQL, per operation", POSTGRESQL),
    RemoteRowCase(),
    FlushCase(),
    RowMemoryCase(),
)
