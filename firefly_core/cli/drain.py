"""`firefly-run drain`: take a process out, and lose nothing."""

from __future__ import annotations

import click

from firefly_core.cli.invocation import Invocation
from firefly_core.cli.operator import order
from firefly_core.cli.stop import show_end

__all__ = ["drain"]


@click.command()
@click.argument("name")
@click.option("--timeout", type=click.FloatRange(0, 3600), help="Seconds to finish; firefly.drain_timeout by default.")
@click.pass_obj
def drain(invocation: Invocation, name: str, timeout: float | None) -> None:
    """Route around the process or server NAME, let it finish what it has accepted, and end it.

    A gate closes its doors and tells its clients. NAME stays away until `firefly-run restart NAME`.
    """
    show_end(order(invocation, "drain", name=name, seconds=timeout, wait=True))
