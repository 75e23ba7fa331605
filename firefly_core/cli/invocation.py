"""Invocation: which firefly.toml a command of `firefly-run` is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import click

from firefly_core.errors import ConfigurationError, ExitStatus

__all__ = ["Invocation", "reported"]


@attrs.frozen
class Invocation:
    """What the options before the command said; `ctx.obj` of every command."""

    path: Path
    """The firefly.toml."""
    overrides: tuple[str, ...] = ()
    """`KEY=VALUE` texts of `--set`, which stand above the environment and the file."""


@contextmanager
def reported() -> Iterator[None]:
    """Print every problem of a ConfigurationError on stderr, one a line, and exit with 78."""
    try:
        yield
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        raise SystemExit(ExitStatus.CONFIGURATION) from None
