"""`firefly-run restart`: end a process and start it anew."""

from __future__ import annotations

import click

from firefly_core.cli.invocation import Invocation
from firefly_core.cli.operator import REFUSED, order

__all__ = ["restart"]


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Although the check of what is on disk has found problems.")
@click.pass_obj
def restart(invocation: Invocation, name: str, force: bool) -> None:
    """End the process or server NAME in an orderly way and start it anew; of several processes one after another.

    One that was given up, drained or stopped is started too.
    """
    states = order(invocation, "restart", name=name, force=force, wait=True)["processes"]
    for process, state in states.items():
        click.echo(f"{process}: {state}")
    if any(state != "ready" for state in states.values()):
        raise SystemExit(REFUSED)
