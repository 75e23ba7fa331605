"""`firefly-run plugins`: what is installed, what firefly.toml loads in which order, and what each one offers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from firefly_core.cli.invocation import Invocation, loading
from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.cluster import plugin_names
from firefly_core.kernel.hookspecs import ENTRY_POINTS
from firefly_core.kernel.plugins.entry_points import claims
from firefly_core.kernel.plugins.offers import OFFERS
from firefly_core.kernel.plugins.plugins import Plugins, load_plugins

__all__ = ["plugins"]


@click.command()
@click.pass_obj
def plugins(invocation: Invocation) -> None:
    """List the plugins in call order, with what they offer, and those that are installed but not used."""
    with loading():
        names = plugin_names(invocation.path, os.environ, invocation.overrides)
        try:
            loaded = load_plugins(names)
        except ConfigurationError as error:
            raise ConfigurationError(
                [f"{invocation.path}: firefly.plugins: {each}" for each in error.problems]
            ) from None
    for name in loaded.names:
        click.echo(f"{name}  ({loaded.distribution_of(name)})")
        for line in _about(loaded, name):
            click.echo(f"    {line}")
    others = [claim for name, found in claims(ENTRY_POINTS).items() if name not in loaded.names for claim in found]
    if others:
        click.echo("installed, not in firefly.plugins:")
    for claim in others:
        click.echo(f"    {claim.name}  ({claim.distribution})")


def _about(loaded: Plugins, plugin: str) -> Iterator[str]:
    for offer in OFFERS:
        mine = [name for name in getattr(loaded, offer.kind) if loaded.provider(offer.kind, name) == plugin]
        if mine:
            yield f"{offer.kind}: {', '.join(mine)}"
    yield f"hooks: {', '.join(loaded.hooks_of(plugin))}"
