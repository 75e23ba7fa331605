"""Metrics: the figures of every server as Prometheus reads them, by one collector, from the last look.

`firefly_gate_sessions{server="gate-1"}` is the figure `sessions` of the service `gate`, `firefly_runners_idle` one of
the kernel's parts; channels have the label `peer`, handlers `kind` and `handler`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from firefly_core.kernel.histogram import bound

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from firefly_admin.view import View

__all__ = ["CONTENT_TYPE", "Collector", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
UNFIT = re.compile(r"[^a-zA-Z0-9_]")
Labels = tuple[str, ...]
WORDS = re.compile(r"(closed|errors)_(.+)_total")
"""Figures of a word that a game may have chosen: the word becomes a label, not a metric of its own."""
LABELS = {"closed": ("closed_total", "reason"), "errors": ("errors_by_code_total", "code")}
SUPERVISED = {
    "starts": "How often the supervisor has started it.",
    "crashes": "How often it ended without having been asked to.",
    "dropped": "Commands and calls that it had accepted and dropped when its time to drain was over.",
    "lost_lines": "Lines of its output that the supervisor could not write down.",
}
"""What the supervisor counts of each process."""


class Families:
    """Metric families that are filled in any order, and handed out once each is whole."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def add(self, name: str, labels: Mapping[str, str], value: float, text: str) -> None:
        """Add one figure; a name that ends in `_total` is a counter's."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        name = UNFIT.sub("_", name)
        family = self._known.get(name)
        if family is None:
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = self._known[name] = kind(name, text, labels=list(labels))
        family.add_metric(list(labels.values()), value)

    def add_histogram(
        self, name: str, labels: Mapping[str, str], buckets: Sequence[int], total: int, text: str
    ) -> None:
        """Add durations, counted in buckets, with the nanoseconds of all of them."""
        from prometheus_client.core import HistogramMetricFamily

        family = self._known.get(name)
        if family is None:
            family = self._known[name] = HistogramMetricFamily(name, text, labels=list(labels))
        told, running = [], 0
        for index, count in enumerate(buckets):
            running += count
            told.append((f"{bound(index):.9g}", float(running)))
        family.add_metric(list(labels.values()), [*told, ("+Inf", float(running))], total / 1e9)

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._known.values())


class Collector:
    """What a registry of prometheus_client asks; `views` gives the servers as they were seen last.

    `supervisor` gives what the supervisor said then; None: there is none, or it did not answer.
    """

    def __init__(self, views: Callable[[], Sequence[View]], supervisor: Callable[[], Mapping[str, Any] | None]) -> None:
        self._views = views
        self._supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        """Give every figure of every server."""
        families = Families()
        for view in self._views():
            families.add("firefly_up", {"server": view.name}, float(view.up), "Whether the server answers.")
            if view.report is not None:
                _add_report(families, view.name, view.report)
        for process in (self._supervisor() or {}).get("processes", ()):
            _add_supervised(families, process)
        yield from families


def exposition(collector: Collector) -> bytes:
    """Give everything in the text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return bytes(generate_latest(registry))


def _add_report(families: Families, server: str, report: Mapping[str, Any]) -> None:
    labels = {"server": server}
    statistics = report["statistics"]
    for where, text in (("services", "of the service"), ("parts", "of the kernel's part")):
        for part, figures in statistics[where].items():
            for name, value in figures.items():
                which = labels
                if worded := WORDS.fullmatch(name):
                    name, label = LABELS[worded[1]]
                    which = {**labels, label: worded[2]}
                families.add(f"firefly_{part}_{name}", which, value, f"{name} {text} {part}.")
    for peer in report["peers"]:
        towards = {**labels, "peer": peer["name"]}
        families.add("firefly_channel_up", towards, float(peer["connected"]), "Whether a channel to the peer stands.")
        for name, value in peer["figures"].items():
            families.add(f"firefly_channel_{name}", towards, value, f"{name} of the channel that stands.")
    for plugin, count in statistics["plugins"].items():
        which = {**labels, "plugin": plugin}
        families.add("firefly_plugin_failures_total", which, count, "Notices in which a plugin raised.")
    for level, count in report["log"].items():
        which = {**labels, "level": level}
        families.add("firefly_log_lines_total", which, count, "Lines of the log that are warnings or errors.")
    lag = statistics["hub_lag"]
    text = "How late the hub came to a timer."
    families.add_histogram("firefly_hub_lag_seconds", labels, lag["buckets"], lag["total"], text)
    for meter in report["meters"]:
        _add_meter(families, labels, meter)


def _add_supervised(families: Families, process: Mapping[str, Any]) -> None:
    labels = {"server": process["name"]}
    for name, text in SUPERVISED.items():
        families.add(f"firefly_supervisor_{name}_total", labels, float(process.get(name, 0)), text)
    given_up = float(process["state"] == "fatal")
    families.add("firefly_supervisor_given_up", labels, given_up, "Whether the supervisor starts it no more.")


def _add_meter(families: Families, labels: Mapping[str, str], meter: Mapping[str, Any]) -> None:
    which = {**labels, "kind": meter["kind"], "handler": meter["name"]}
    families.add("firefly_handler_runs_total", which, meter["runs"], "Runs of a handler.")
    families.add("firefly_handler_off", which, float(meter["off"]), "Whether a handler is switched off.")
    for code, count in meter["errors"].items():
        coded = {**which, "code": code}
        families.add("firefly_handler_errors_total", coded, count, "Runs that failed, by code.")
    text = "How long runs took; those of a handler that runs often are estimated from one in sixteen."
    families.add_histogram("firefly_handler_seconds", which, meter["buckets"], meter["total"], text)
