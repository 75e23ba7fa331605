"""The report: a table of goals with the figures reached, then a table a case, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.goals import GOALS
from benchmarks.results import Results, Spread

__all__ = ["goals_table", "report"]

INTRODUCTION = """\
# Benchmarks

Made by `make bench`, which takes twelve minutes; `make bench CASE=gate-echo` measures one case. Nothing here is
written by hand: the figures are those of one run, in `benchmarks.json` beside this page.

How it is measured: the server has one core to itself, the load client the other; a node behind a gate shares the
load's core where there are only two. The subjects take turns (A B C A B C ...), in each round with fresh processes, and
a figure is the median of the turns, with the lowest and the highest in brackets. Ratios are taken turn by turn, because
a machine with neighbours may be a fifth slower a second later: so echoes and broadcasts have three short turns a round,
while the other servers are stopped. CPU is that of the server process for each message, from `/proc/PID/schedstat`: it
is steadier than requests a second. `100 x 16` means 100 connections with 16 requests in flight on each; bodies have 64
bytes; a closed loop.

Firefly runs as it is shipped, with every limit and deadline on, under `firefly-run`; only the rate limit is off in
`benchmarks/game/*.toml`, because the load is the point. Its clients are logged in. A peer that answers each message
with a write of its own is marked `message`, one that joins the answers of what arrived together `batch`: at 16 in
flight that difference is larger than any other.
"""


def _number(value: float) -> str:
    """Write a number with three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _spread(spread: Spread, unit: str = "") -> str:
    if spread.low == spread.high:
        return f"{_number(spread.middle)}{unit}"
    return f"{_number(spread.middle)}{unit} ({_number(spread.low)} to {_number(spread.high)})"


def goals_table(results: Results) -> Iterator[str]:
    """Give the lines of the table of goals."""
    yield "| # | measure | goal | stretch | reached | by CPU | |"
    yield "|---|---|---|---|---|---|---|"
    for goal in GOALS:
        verdict = goal.judge(results)
        reached = _spread(verdict.figure, goal.unit) if verdict.figure is not None else ""
        by_cpu = _number(verdict.by_cpu.middle) if verdict.by_cpu is not None else ""
        stretch = f"{goal.stretch:g}" if goal.stretch is not None else ""
        word = f"**{verdict.word}**" if verdict.word == "missed" else verdict.word
        yield f"| {goal.row} | {goal.measure} | {goal.wanted()} | {stretch} | {reached} | {by_cpu} | {word} |"


def _cell(values: Mapping[str, list[float]]) -> str:
    """Write what was measured of one subject under one load."""
    spreads = {name: Spread.of(each) for name, each in values.items() if each}
    if "rate" in spreads:
        parts = [f"{_spread(spreads['rate'])}/s"]
    elif "seconds" in spreads:
        parts = [f"{_spread(Spread(*(getattr(spreads['seconds'], at) * 1e3 for at in ('middle', 'low', 'high'))))} ms"]
    elif "longest_us" in spreads:
        parts = [_spread(spreads["longest_us"], " us")]
    elif "bytes" in spreads:
        parts = [_spread(spreads["bytes"], " B")]
    else:
        parts = []
    for name, word in (("cpu_us", ""), ("back_cpu_us", "back "), ("caller_cpu_us", "caller ")):
        if name in spreads:
            parts.append(f"{word}{_number(spreads[name].middle)} us")
    if "p99_us" in spreads:
        parts.append(f"p99 {_number(spreads['p99_us'].middle / 1000)} ms")
    if "max_us" in spreads and "cpu_us" not in spreads:
        parts.append(f"max {_number(spreads['max_us'].middle / 1000)} ms")
    if "busy_percent" in spreads:
        parts.append(f"{_number(spreads['busy_percent'].middle)} % CPU")
    return " · ".join(parts)


def _case(name: str, title: str, about: Mapping[str, Mapping[str, str]], plain: Mapping[str, Any]) -> Iterator[str]:
    figures = plain["cases"][name]
    loads = list(dict.fromkeys(load for by_load in figures.values() for load in by_load))
    yield f"## {title}"
    yield ""
    yield f"`make bench CASE={name}`"
    yield ""
    yield "| | writes a | " + " | ".join(loads) + " |"
    yield "|---|---|" + "---|" * len(loads)
    for subject, by_load in figures.items():
        cells = [_cell(by_load[load]) if load in by_load else "" for load in loads]
        name_cell = f"**{subject}**" if subject.startswith("Firefly") else subject
        yield f"| {name_cell} | {about.get(subject, {}).get('writes', '')} | " + " | ".join(cells) + " |"
    for subject, entry in about.items():
        if entry.get("note") and subject in figures:
            yield f"\n{subject}: {entry['note']}."
    for subject, why in plain["absent"].get(name, {}).items():
        yield f"\nWithout {subject}: {why.splitlines()[-1] if why else 'it could not be measured'}."
    yield ""


def report(plain: Mapping[str, Any]) -> str:
    """Give the page."""
    results = Results(plain)
    lines = [INTRODUCTION, "## This run", ""]
    lines += [f"- {name}: {value}" for name, value in plain["machine"].items()]
    lines += [f"- date: {plain['date']}", f"- rounds: {plain['rounds']}, each {plain['seconds']:g} s with each load"]
    client = "the one in C" if plain["client"] == "c" else "the slower one in Python, because no compiler is here"
    lines += [f"- load client: {client}"]
    versions = ", ".join(f"{name} {version}" for name, version in plain["versions"].items())
    lines += [f"- versions: {versions}", "", "![Messages a second](benchmarks.svg)", "", "## Goals", ""]
    lines += [*goals_table(results), ""]
    for name in plain["cases"]:
        lines += _case(name, plain["titles"][name], plain["about"].get(name, {}), plain)
    return "\n".join(lines)
