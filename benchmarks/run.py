"""The harness: runs the cases that were asked for, prints the goals, and writes JSON, a page and a plot."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from benchmarks.bench import Bench
from benchmarks.cases import crowd, echo, idle, push, reload, replicas, rpc, start, storage
from benchmarks.goals import GOALS
from benchmarks.load import Load
from benchmarks.machine import Cores, describe, open_files
from benchmarks.peer_packages import PeerPackages
from benchmarks.places import BUILT, DOCS
from benchmarks.plot import plot
from benchmarks.report import goals_table, report
from benchmarks.results import Results

__all__ = ["main"]

OPEN_FILES = 16_000
OURS = ("firefly-core", "gevent", "greenlet", "msgpack", "msgspec", "websockets")


class Case(Protocol):
    """What a case is: a name, a title, and a run that records figures."""

    @property
    def name(self) -> str:
        """What `CASE=` picks it by."""

    @property
    def title(self) -> str:
        """What stands above its table."""

    def run(self, bench: Bench) -> None:
        """Measure, and record."""


CASES: tuple[Case, ...] = (
    *echo.CASES,
    *rpc.CASES,
    *push.CASES,
    *idle.CASES,
    *crowd.CASES,
    *storage.CASES,
    *reload.CASES,
    *replicas.CASES,
    *start.CASES,
)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(case.name for case in CASES)
    picked = os.environ.get("CASE", "").replace(",", " ").split()
    parser.add_argument("case", nargs="*", default=picked, help=f"which to run; CASE=... too: {names}")
    parser.add_argument("--rounds", type=int, default=3, help="how often each subject is started")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long it is measured then, for each load")
    parser.add_argument("--offline", action="store_true", help="install no peers")
    parser.add_argument("--only", default="", metavar="WORD", help="only subjects whose name has WORD in it")
    parser.add_argument("--to", type=Path, default=BUILT / "result", help="the folder for what is written")
    parser.add_argument(
        "--publish", action="store_true", help="put what the last run wrote into docs/, measure nothing"
    )
    options = parser.parse_args(arguments)
    unknown = set(options.case) - {case.name for case in CASES}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are: {names}")
    return options


def _about(case: Case) -> dict[str, dict[str, str]]:
    subjects: Sequence[Any] = getattr(case, "subjects", getattr(case, "callers", ()))
    return {subject.name: {"writes": getattr(subject, "writes", ""), "note": subject.note} for subject in subjects}


def _gather(bench: Bench, cases: Sequence[Case]) -> dict[str, Any]:
    versions = {name: version(name) for name in OURS} | bench.peers.versions()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe(),
        "client": bench.load.kind,
        "versions": versions,
        "titles": {case.name: case.title for case in cases},
        "about": {case.name: _about(case) for case in cases},
        **bench.plain(),
    }


def _write(plain: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.json").write_text(json.dumps(plain, indent=1) + "\n")
    (folder / "benchmarks.md").write_text(report(plain))
    (folder / "benchmarks.svg").write_text(plot(Results(plain)))


def _publish(folder: Path) -> None:
    for name in ("benchmarks.json", "benchmarks.md", "benchmarks.svg"):
        shutil.copyfile(folder / name, DOCS / name)


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    cores = Cores.of_this_machine()
    open_files(OPEN_FILES)
    peers = PeerPackages(lambda line: print(line, file=sys.stderr, flush=True), offline=options.offline)
    bench = Bench(options.rounds, options.seconds, cores, Load(cores), peers, only=options.only)
    if bench.load.kind != "c":
        bench.say("no C compiler is here: the load client in Python is slower than what it measures")
    cases = [case for case in CASES if not options.case or case.name in options.case]
    for case in cases:
        try:
            case.run(bench)
        except Exception as error:
            bench.leave_out(case.name, "Firefly", f"{type(error).__name__}: {error}")
    return _gather(bench, [case for case in cases if case.name in bench.cases])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks with the arguments of this process."""
    options = _options(arguments)
    if options.publish:
        _publish(options.to)
        return
    plain = _measure(options)
    _write(plain, options.to)
    results = Results(plain)
    if any(goal.read(results) is not None for goal in GOALS):
        print("\n".join(goals_table(results)))
    print(f"\n{options.to / 'benchmarks.md'}")
