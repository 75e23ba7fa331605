"""Operator: what the commands have in common that ask a running `firefly-run` for something."""

from __future__ import annotations

import os
from typing import Any

import click

from firefly_core.cli.invocation import Invocation
from firefly_core.errors import RemoteError, Unavailable
from firefly_core.kernel.config.cluster import var_folder
from firefly_core.kernel.supervisor.control_socket import socket_path
from firefly_core.kernel.supervisor.inquiry import ask

__all__ = ["REFUSED", "order"]

ALIVE = 10.0
"""Seconds within which a supervisor that lives says how it is."""
REFUSED = 1
"""What the commands exit with when nothing was done."""


def order(invocation: Invocation, what: str, *, timeout: float | None = None, **values: Any) -> Any:
    """Ask the `firefly-run` of this firefly.toml; says on stderr why it was refused, and exits then."""
    path = socket_path(var_folder(invocation.path, os.environ, invocation.overrides), invocation.path)
    try:
        if timeout is None:  # as long as it takes, but not for somebody who does not answer at all
            ask(path, "status", timeout=ALIVE)
        return ask(path, what, timeout=timeout, **values)
    except RemoteError as error:
        click.echo(error.message, err=True)
    except Unavailable as error:
        click.echo(str(error), err=True)
    raise SystemExit(REFUSED)
