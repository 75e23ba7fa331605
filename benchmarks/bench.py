"""One run of the benchmarks: where things run, how often, and what was measured so far."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import attrs

from benchmarks.load import Load
from benchmarks.machine import Cores
from benchmarks.peer_packages import PeerPackages

__all__ = ["Bench"]

Figures = dict[str, dict[str, dict[str, list[float]]]]
"""Of one case: subject, then load, then what was measured, with one value a turn."""


@attrs.define
class Bench:
    """What the cases share. `rounds`: how often each subject is started; `seconds`: how long it is measured then."""

    rounds: int
    seconds: float
    cores: Cores
    load: Load
    peers: PeerPackages
    only: str = ""
    """Only subjects whose name has this in it are measured."""
    cases: dict[str, Figures] = attrs.Factory(dict)
    absent: dict[str, dict[str, str]] = attrs.Factory(dict)
    """Why a subject is not in a case: by case, then by subject."""
    began: float = attrs.Factory(time.monotonic)

    def record(self, case: str, subject: str, load: str, values: Mapping[str, float]) -> None:
        """Keep the values of one turn."""
        figures = self.cases.setdefault(case, {}).setdefault(subject, {}).setdefault(load, {})
        for name, value in values.items():
            figures.setdefault(name, []).append(value)
        shown = ", ".join(f"{name} {value:,.4g}" for name, value in values.items() if value)
        self.say(f"{case}: {subject}, {load}: {shown}")

    def wants(self, case: str, subject: str) -> bool:
        """Whether a subject has its turn: it was not left out, and was asked for."""
        return self.only in subject and subject not in self.absent.get(case, {})

    def leave_out(self, case: str, subject: str, why: str) -> None:
        """Note that a subject cannot be measured."""
        if subject not in self.absent.setdefault(case, {}):
            self.absent[case][subject] = why
            self.say(f"{case}: without {subject}: {why}")

    def say(self, line: str) -> None:
        """Tell whoever waits how far it is."""
        print(f"{time.monotonic() - self.began:6.1f} s  {line}", file=sys.stderr, flush=True)

    def plain(self) -> dict[str, Any]:
        """Give what was measured, for JSON."""
        return {"rounds": self.rounds, "seconds": self.seconds, "cases": self.cases, "absent": self.absent}
