"""The harness: runs the cases that were asked for, then writes what was measured."""

from __future__ import annotations

import argparse
import os
import sys

from benchmarks.bench import Bench
from benchmarks.cases import echo
from benchmarks.load import Load
from benchmarks.machine import Cores, describe, open_files
from benchmarks.peer_packages import PeerPackages

__all__ = ["main"]

CASES = (*echo.CASES,)


def main() -> None:
    """Run the benchmarks with the arguments of this process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("case", nargs="*", default=os.environ.get("CASE", "").split())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--offline", action="store_true")
    options = parser.parse_args()
    open_files(25_000)
    cores = Cores.of_this_machine()

    def say(line):
        print(line, file=sys.stderr, flush=True)

    bench = Bench(
        rounds=options.rounds,
        seconds=options.seconds,
        cores=cores,
        load=Load(cores),
        peers=PeerPackages(say, offline=options.offline),
    )
    for case in CASES:
        if not options.case or case.name in options.case:
            case.run(bench)
    import json

    print(json.dumps(bench.plain(), indent=1))
