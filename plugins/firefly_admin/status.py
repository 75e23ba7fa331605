"""`firefly-run status`."""

from __future__ import annotations

import click

__all__ = ["status"]


@click.command()
def status() -> None:
    """Say how every server does."""
