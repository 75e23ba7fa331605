"""`firefly-run stop`: end a process, a server, or everything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from firefly_core.cli.invocation import Invocation
from firefly_core.cli.operator import order
from firefly_core.kernel.config.cluster import var_folder
from firefly_core.kernel.supervisor.lock import wait_free

__all__ = ["show_end", "stop"]


@click.command()
@click.argument("name", required=False)
@click.option("--now", is_flag=True, help="Do not wait for what it has accepted.")
@click.pass_obj
def stop(invocation: Invocation, name: str | None, now: bool) -> None:
    """End the process or server NAME in an orderly way; without NAME everything, and `firefly-run` itself."""
    if name is not None:
        show_end(order(invocation, "stop", name=name, now=now, wait=True))
        return
    order(invocation, "stop", now=now)
    wait_free(var_folder(invocation.path, os.environ, invocation.overrides) / f"{invocation.path.stem}.lock")
    click.echo("Everything has stopped.")


def show_end(told: Mapping[str, Any]) -> None:
    """Print what became of processes."""
    for process, state in told["processes"].items():
        dropped = told["dropped"].get(process, 0)
        lost = f"; {dropped} commands and calls were dropped at the end of its time" if dropped else ""
        click.echo(f"{process}: {state}{lost}")
