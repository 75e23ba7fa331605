"""The db-cache: reading, saving, adding and asking by index, on the server that owns the database."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import attrs

from benchmarks.bench import Bench
from benchmarks.question import ask_json
from benchmarks.subjects.firefly import running

__all__ = ["CASES", "StorageCase"]

PREPARE, MEASURE = 11, 12
IN_FLIGHT = (1, 64)


@attrs.frozen
class StorageCase:
    """A thousand rows, all in memory; `save` and `add` return when the journal has the change."""

    name: str = "db-cache"
    title: str = "db-cache on SQLite, per operation"
    durabilities: Sequence[str] = ("journal", "fsync")
    kinds: Sequence[str] = ("get", "where", "save", "add")

    def run(self, bench: Bench) -> None:
        """Use a fresh database for each durability in each round."""
        for _ in range(bench.rounds):
            for durability in self.durabilities:
                with tempfile.TemporaryDirectory() as folder:
                    self._measure(bench, durability, folder)

    def _measure(self, bench: Bench, durability: str, folder: str) -> None:
        more = {"BENCH_VAR": folder, "BENCH_DURABILITY": durability}
        with running(bench, "storage.toml", "gate", more=more) as here:
            ask_json(here.ports["TCP"], PREPARE, None)
            for kind in self.kinds:
                if durability != self.durabilities[0] and kind in ("get", "where"):
                    continue
                for in_flight in IN_FLIGHT:
                    task = {"kind": kind, "in_flight": in_flight, "seconds": bench.seconds}
                    figures = ask_json(here.ports["TCP"], MEASURE, task)
                    answers = max(1, figures["answers"])
                    values = {"rate": answers / figures["seconds"], "cpu_us": figures["cpu"][0] / answers * 1e6}
                    subject = f"Firefly, {durability}"
                    bench.record(self.name, subject, f"{kind}, {in_flight} in flight", values)


CASES = (StorageCase(),)
