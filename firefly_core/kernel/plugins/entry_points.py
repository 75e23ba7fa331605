"""Entry points: what the installed distributions offer under a group's name, each with the distribution's name."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

import attrs

__all__ = ["HANDLERS", "Claim", "claims"]

HANDLERS = "firefly.handlers"


@attrs.frozen
class Claim:
    """One distribution's entry point."""

    name: str
    value: str
    distribution: str
    """Name and version, as in `firefly-core 0.1.0`."""
    entry_point: importlib.metadata.EntryPoint = attrs.field(repr=False, eq=False)


def claims(group: str) -> dict[str, Sequence[Claim]]:
    """Give who claims each name of `group`; the order of discovery leaves no trace in the answer."""
    found: dict[str, set[Claim]] = {}
    for point in importlib.metadata.entry_points(group=group):
        dist = point.dist
        owner = "an unknown distribution" if dist is None else f"{dist.name} {dist.version}"
        found.setdefault(point.name, set()).add(Claim(point.name, point.value, owner, point))
    return {name: sorted(found[name], key=lambda claim: (claim.distribution, claim.value)) for name in sorted(found)}
