"""`firefly-run config` and `firefly-run config set`: the configuration that counts, and a change of one key."""

from __future__ import annotations

import os

import click

from firefly_core.cli.invocation import Invocation, loading
from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import draft, load
from firefly_core.kernel.config.effective import effective
from firefly_core.kernel.config.environment import key_path, value_of
from firefly_core.kernel.config.problems import Problem, spell
from firefly_core.kernel.config.toml_edit import set_key
from firefly_core.kernel.config.toml_file import dumps, read_text, save

__all__ = ["config"]


@click.group(invoke_without_command=True)
@click.pass_context
def config(ctx: click.Context) -> None:
    """Print the effective configuration: flags above environment above file above defaults.

    Secrets are shown as ***, and what comes from the environment as the ${NAME} that stands in the file.
    """
    if ctx.invoked_subcommand is None:
        invocation: Invocation = ctx.obj
        with loading():
            text = dumps(effective(load(invocation.path, overrides=invocation.overrides)))
        click.echo(text, nl=False)


@config.command("set", context_settings={"ignore_unknown_options": True})  # a value may be -1
@click.argument("key")
@click.argument("value")
@click.pass_obj
def set_(invocation: Invocation, key: str, value: str) -> None:
    """Set KEY to VALUE in firefly.toml and keep the rest of the file as it is.

    VALUE is TOML where it reads as TOML (15, true, "15", [1, 2]), and a text otherwise. A change that makes a new
    problem is refused.
    """
    with loading():
        path = key_path(key)
        before = read_text(invocation.path)
        after = set_key(before, path, value_of(value), str(invocation.path))
        fresh = _found(invocation, after) - _found(invocation, before)
        if fresh:
            texts = [str(problem) for problem in _ordered(invocation, after) if _identity(problem) in fresh]
            raise ConfigurationError([*texts, f"{invocation.path}: nothing was changed"])
        save(invocation.path, after)
    click.echo(f"{invocation.path}: {spell(path)} is set")


def _ordered(invocation: Invocation, text: str) -> list[Problem]:
    return draft(invocation.path, os.environ, text=text).problems.found


def _identity(problem: Problem) -> tuple[object, ...]:
    """Give what a problem is, wherever it stands now."""
    return problem.path, problem.got, problem.needs


def _found(invocation: Invocation, text: str) -> set[tuple[object, ...]]:
    return {_identity(problem) for problem in _ordered(invocation, text)}
