"""The rule for a table inside of a table, whose keys a Config class declares: `[firefly.channel]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.rules import Rule, Site

__all__ = ["Table", "table_of"]

NEEDS = "a table of its own keys"


class Table(Rule):
    """The rule behind `table_of(...)`; `cls` is the Config class of its keys."""

    __slots__ = ("cls",)

    def __init__(self, cls: type) -> None:
        super().__init__(NEEDS, _mapping)
        self.cls = cls

    def settle(self, value: Any, site: Site) -> Any:
        from firefly_core.kernel.config.config import build

        return build(self.cls, value, site)


def _mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise Misfit(NEEDS)


def table_of(cls: type) -> Rule:
    """Accept a table with the keys of `cls`, a Config class, and give such an object; use it with `default={}`."""
    return Table(cls)
