"""`firefly-run plan`: print what the supervisor has to know, as JSON; the supervisor runs it, nobody else has to."""

from __future__ import annotations

import os

import click

from firefly_core.cli.invocation import Invocation, reported
from firefly_core.kernel.handlers.handler_check import check as check_everything
from firefly_core.kernel.process.parent import die_with
from firefly_core.kernel.supervisor.cluster_plan import plan_of

__all__ = ["plan"]


@click.command(hidden=True)
@click.option("--supervisor", type=int, help="The pid of the supervisor that has started this, to die with it.")
@click.pass_obj
def plan(invocation: Invocation, supervisor: int | None) -> None:
    """Check everything, and print the processes and addresses as JSON."""
    if supervisor is not None:
        die_with(supervisor)
    # What modules print while they are imported must not get into the answer.
    answer = os.dup(1)
    os.dup2(2, 1)
    with reported():
        checked = check_everything(invocation.path, overrides=invocation.overrides)
    with os.fdopen(answer, "wb") as file:
        file.write(plan_of(checked.cluster).encode())
