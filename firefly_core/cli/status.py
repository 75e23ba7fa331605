"""`firefly-run status` as the supervisor knows it: for games without an admin server, and for when that one is away.

The plugin `admin` offers a command of the same name that tells more; it comes first.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click

from firefly_core.cli.invocation import Invocation
from firefly_core.cli.operator import order

__all__ = ["show_processes", "status"]

COLUMNS = ("process", "state", "for", "pid", "starts", "crashes", "ended last")
TIMEOUT = 10.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Everything there is, as JSON.")
@click.pass_obj
def status(invocation: Invocation, as_json: bool) -> None:
    """Say how every process does."""
    sys.exit(0 if show_processes(invocation, as_json=as_json) else 1)


def show_processes(invocation: Invocation, *, as_json: bool = False) -> bool:
    """Print what the supervisor says; gives whether every process is ready. Exits with 1 when there is none."""
    told = order(invocation, "status", timeout=TIMEOUT)
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        rows = [COLUMNS, *map(_row, told["processes"])]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    return all(process["state"] == "ready" for process in told["processes"])


def _row(process: dict[str, Any]) -> tuple[str, ...]:
    seconds = max(0, round(time.time() - process["since"]))
    lasting = f"{seconds} s" if seconds < 60 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
    return (
        process["name"],
        process["state"],
        lasting,
        str(process["pid"] or ""),
        str(process["starts"]),
        str(process["crashes"]),
        process["ending"] or "",
    )
