"""Invocation: which firefly.toml a command of `firefly-run` is about."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import attrs
import click

from firefly_core.errors import ConfigurationError, ExitStatus

__all__ = ["Invocation", "loading", "reported"]


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


@contextmanager
def loading() -> Iterator[None]:
    """Report problems as `reported` does, and send to stderr what plugins and handlers print when they are imported."""
    with reported(), redirect_stdout(sys.stderr):
        yield
