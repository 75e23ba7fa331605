"""View: one server as the admin saw it last, and how fast its counters move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firefly_core.kernel.histogram import difference, merged, quantile

__all__ = ["View"]

Report = Mapping[str, Any]
COMMAND = "command"
FAULTS = frozenset(
    ("internal", "timeout", "unavailable", "overloaded", "no_such_method", "not_authorized", "conflict", "killed")
)
"""Codes of errors that are somebody's to mend; every other one is an answer that a player may get on a good day."""
NOTHING: Report = {"runs": 0, "buckets": [], "errors": {}}
"""What a handler had counted before it was first told of."""


class View:
    """One process of firefly.toml. `report` is what it told at the last look; None: it did not answer."""

    def __init__(self, name: str, server: str, *, apart: bool) -> None:
        self.name = name
        self.server = server
        self.apart = apart
        """Whether nothing in firefly.toml connects it to others, so that it cannot be asked anything."""
        self.via: str | None = None
        """The peer behind which it is; None: connected, or this server itself."""
        self.report: Report | None = None
        self.problem = "not looked at yet"
        """Why there is no report."""
        self.seen = 0.0
        """When it answered last, by the clock's `time()`; 0.0: never."""
        self.rates: dict[str, float] = {}
        self.meters: dict[tuple[str, str], dict[str, Any]] = {}
        """The figures of its handlers, with what changed between the last two looks: `window per_second`."""
        self.channels: dict[str, float] = {}
        """Requests a second that came from each peer."""
        self._moment = 0.0
        self._before: Report | None = None
        self._before_moment = 0.0

    def answered(self, report: Report, moment: float, now: float) -> None:
        """Take a report; `moment` is monotonic, `now` a date."""
        self._before, self._before_moment = self.report, self._moment
        if self._before is not None and self._before["about"]["boot"] != report["about"]["boot"]:
            self._before = None
        self.report, self._moment = report, moment
        self.seen = now
        self.problem = ""
        self._compare()

    def failed(self, problem: str) -> None:
        """Note that it did not answer."""
        self.report = None
        self.problem = problem
        self.rates, self.meters, self.channels = {}, {}, {}

    @property
    def up(self) -> bool:
        """Whether it answered at the last look."""
        return self.report is not None

    @property
    def boot(self) -> str:
        """The boot id of the process that answered."""
        return str(self.report["about"]["boot"]) if self.report is not None else ""

    def part(self, name: str) -> Mapping[str, float]:
        """Give the figures of a service or a part of the kernel; empty where there is none."""
        if self.report is None:
            return {}
        statistics = self.report["statistics"]
        found: Mapping[str, float] = statistics["services"].get(name) or statistics["parts"].get(name) or {}
        return found

    def _compare(self) -> None:
        report, before = self.report, self._before or self.report
        assert report is not None
        assert before is not None
        seconds = self._moment - self._before_moment if self._before is not None else 0.0
        older = {(meter["kind"], meter["name"]): meter for meter in before["meters"]}
        self.meters = {
            (meter["kind"], meter["name"]): _moved(meter, older.get((meter["kind"], meter["name"])), seconds)
            for meter in report["meters"]
        }
        commands = [meter for (kind, _), meter in self.meters.items() if kind == COMMAND]
        window = merged(meter["window"] for meter in commands)
        lag = difference(_lag(report), _lag(before))
        self.rates = {
            "commands": sum(meter["per_second"] for meter in commands),
            "errors": sum(meter["errors_per_second"] for meter in commands),
            "faults": sum(meter["faults_per_second"] for meter in commands),
            "p50": quantile(window, 0.5),
            "p99": quantile(window, 0.99),
            "lag": quantile(lag, 0.99),
            "cpu": _per_second(_cpu(report), _cpu(before), seconds),
        }
        requests = _requests(before)
        self.channels = {
            peer: _per_second(count, requests.get(peer, 0), seconds) for peer, count in _requests(report).items()
        }


def faults_of(errors: Mapping[str, int]) -> int:
    """Give how many errors by code are faults, not refusals of the game or mistakes of a client."""
    return sum(count for code, count in errors.items() if code in FAULTS)


def _lag(report: Report) -> list[int]:
    buckets: list[int] = report["statistics"]["hub_lag"]["buckets"]
    return buckets


def _cpu(report: Report) -> float:
    return float(report["statistics"]["parts"]["process"]["cpu_seconds_total"])


def _requests(report: Report) -> dict[str, int]:
    return {peer["name"]: peer["figures"].get("requests_total", 0) for peer in report["peers"]}


def _per_second(newer: float, older: float, seconds: float) -> float:
    """Give how fast a counter moves; one that has begun anew does not move."""
    return max(0.0, newer - older) / seconds if seconds else 0.0


def _moved(meter: Mapping[str, Any], before: Mapping[str, Any] | None, seconds: float) -> dict[str, Any]:
    """Give a meter with what changed since the look before."""
    older = before or NOTHING
    window = difference(meter["buckets"], older["buckets"]) if seconds else []
    errors, errors_before = sum(meter["errors"].values()), sum(older["errors"].values())
    faults, faults_before = faults_of(meter["errors"]), faults_of(older["errors"])
    return {
        **meter,
        "faults_per_second": _per_second(faults, faults_before, seconds),
        "window": window,
        "per_second": _per_second(meter["runs"], older["runs"], seconds),
        "errors_per_second": _per_second(errors, errors_before, seconds),
    }
