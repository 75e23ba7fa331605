"""`firefly-run check`: say everything that is wrong, and start nothing."""

from __future__ import annotations

import click

from firefly_core.cli.invocation import Invocation, loading
from firefly_core.kernel.handlers.handler_check import check as check_everything

__all__ = ["check"]


@click.command()
@click.pass_obj
def check(invocation: Invocation) -> None:
    """Check firefly.toml, its plugins and handlers; start nothing.

    Prints every problem at once and exits with 78, or says in one line that there is none.
    """
    with loading():
        checked = check_everything(invocation.path, overrides=invocation.overrides)
    cluster = checked.cluster
    for warning in cluster.warnings:
        click.echo(f"warning: {warning}", err=True)
    commands = {handler.id for table in checked.handlers.values() for handler in table.commands.values()}
    counts = (
        _count(len(cluster.servers), "server"),
        _count(len(cluster.process_names()), "process", "processes"),
        _count(len(cluster.plugins.names), "plugin"),
        _count(len(commands), "command"),
    )
    click.echo(f"{invocation.path}: no problems: {', '.join(counts)}")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
