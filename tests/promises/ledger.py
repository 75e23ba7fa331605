"""What was promised and what was counted: rows with a number of tries, kept in docs/promises.json."""

from __future__ import annotations

import fcntl
import json
import platform
import subprocess
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

__all__ = ["JSON", "PAGE", "Outcome", "Row", "append", "page", "slice_of"]

ROOT = Path(__file__).parents[2]
JSON = ROOT / "docs" / "promises.json"
PAGE = ROOT / "docs" / "promises.md"
INTRODUCTION = """\
# Promises, counted

What Firefly promises under load, faults and bad input, and what was counted. `make promises ROW=A15` counts a row with
its full number of tries and adds the result here; the short form of every row runs in `make test`. A zero of N tries
says with 95 % confidence that less than 3/N of the tries fail. This page is made from `promises.json` and nothing else.

"""


@attrs.frozen
class Outcome:
    """How a row came out: what was counted over how many tries, and whether the promise was kept."""

    tries: int
    figure: str
    kept: bool


@attrs.frozen
class Row:
    """One promise: `run(count)` tries it and gives the Outcome; `quick` tries in the test run, `full` by hand.

    Where `quick` is 0 the short form is a test of its own.
    """

    name: str
    promise: str
    run: Callable[[int], Outcome]
    quick: int
    full: int
    note: str = ""


def append(row: Row, outcome: Outcome) -> dict[str, Any]:
    """Add one outcome to docs/promises.json and make the page anew."""
    entry = {
        "row": row.name,
        "promise": row.promise,
        "tries": outcome.tries,
        "figure": outcome.figure,
        "kept": outcome.kept,
        "commit": commit(),
        "machine": f"{platform.machine()}, {_cores()} cores, Python {platform.python_version()}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    with PAGE.open("r+") as lock:  # rows may be counted side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        entries = read()
        entries.append(entry)
        JSON.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
        PAGE.write_text(page(entries))
    return entry


def read() -> list[dict[str, Any]]:
    """Give every outcome so far, oldest first."""
    return json.loads(JSON.read_text()) if JSON.exists() else []


def slice_of(name: str) -> int:
    """Give the number of the slice that is counted now, from 1: a seed with which no slice was counted before."""
    return 1 + sum(entry["row"] == name for entry in read())


def page(entries: Iterable[dict[str, Any]]) -> str:
    """Give docs/promises.md: for each row the newest outcome, and the tries of all outcomes that kept it."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        rows.setdefault(entry["row"], []).append(entry)
    lines = ["| row | promise | tries, all runs | newest figure | kept | measured at |", "|---|---|---|---|---|---|"]
    for name in sorted(rows, key=_order):
        newest = rows[name][-1]
        tries = sum(entry["tries"] for entry in rows[name])
        kept = "yes" if all(entry["kept"] for entry in rows[name]) else "**no**" if not newest["kept"] else "now"
        lines.append(
            f"| {name} | {newest['promise']} | {tries:,} | {newest['figure']} | {kept} "
            f"| {newest['commit']}, {newest['date']}, {newest['machine']} |"
        )
    return INTRODUCTION + "\n".join(lines) + "\n"


def commit() -> str:
    """Give the short hash of what was measured, with a mark where it was changed since."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


def _order(name: str) -> tuple[str, int, str]:
    digits = "".join(letter for letter in name if letter.isdigit())
    return name[:1], int(digits or 0), name
