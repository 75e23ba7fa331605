"""`firefly-run reload`: new code, and a new firefly.toml, for the servers that run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from firefly_core.cli.invocation import Invocation
from firefly_core.cli.operator import REFUSED, order
from firefly_core.cli.watched import Watched

__all__ = ["reload"]

LIMIT = 600.0
INTERVAL = 0.4


@click.command()
@click.argument("name", required=False)
@click.option("--watch", is_flag=True, help="Reload whenever a source changes, until Ctrl-C; for development.")
@click.option("--dry-run", is_flag=True, help="Only say whether it would be taken.")
@click.option("--force", is_flag=True, help="Take it although callers would be refused with what they send today.")
@click.pass_obj
def reload(invocation: Invocation, name: str | None, watch: bool, dry_run: bool, force: bool) -> None:
    """Make the handlers of the process or server NAME anew; without NAME those of all, and firefly.toml too.

    Everything is tried first: with a problem anywhere nothing is changed, and the exit status is 1. Commands that run
    end on the old code, and ctx.state stays.
    """
    if not watch:
        raise SystemExit(0 if _reload(invocation, name, dry_run=dry_run, force=force) else REFUSED)
    order(invocation, "status", timeout=LIMIT)
    folder = invocation.path.resolve().parent
    watched = Watched(folder)
    click.echo(f"Watching {folder}; Ctrl-C ends it.")
    while True:
        click.echo(f"changed: {', '.join(watched.wait(INTERVAL))}")
        try:
            _reload(invocation, name, dry_run=dry_run, force=force)
        except SystemExit:  # refused, as while something else is under way; or nobody is there any more
            order(invocation, "status", timeout=LIMIT)


def _reload(invocation: Invocation, name: str | None, *, dry_run: bool, force: bool) -> bool:
    """Ask for a reload and tell what came of it; gives whether there was no problem."""
    told = order(invocation, "reload", timeout=LIMIT, name=name, dry_run=dry_run, force=force)
    for problem in told["problems"]:
        click.echo(problem, err=True)
    for process, report in told["processes"].items():
        _show(process, report)
    if told["problems"]:
        click.echo("Nothing was changed." if not _any_taken(told) else "Not everything was changed.", err=True)
        return False
    click.echo("It would be taken." if dry_run else "It is in force.")
    return True


def _any_taken(told: Mapping[str, Any]) -> bool:
    return any(report.get("taken") for report in told["processes"].values())


def _show(process: str, report: Mapping[str, Any]) -> None:
    if report.get("taken"):
        changed = ", ".join(report["changed"]) or "no source differs"
        click.echo(f"{process}: {report['made']} modules in {report['seconds'] * 1000:.0f} ms; changed: {changed}")
    for module in report.get("restart", ()):
        click.echo(f"{process}: {module} has changed and stays as it was: a restart is needed")
    for note in report.get("notes", ()):
        click.echo(f"{process}: {note}")
