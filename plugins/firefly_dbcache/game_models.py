"""The models of a game: every CachedModel class that the modules of `models` define."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.handlers.handler_check import import_modules

if TYPE_CHECKING:
    from firefly_dbcache.rows.table import Table

__all__ = ["tables_of"]


def tables_of(modules: Sequence[str], durability: str) -> list[Table]:
    """Give the tables of the models in these modules; a class whose name begins with an underscore is no table.

    Raises ConfigurationError with every problem: modules that cannot be imported, columns that cannot be held.
    """
    from firefly_dbcache.model import CachedModel
    from firefly_dbcache.rows.durability import Durability
    from firefly_dbcache.rows.table import Table

    tables: dict[str, Table] = {}
    problems = []
    for module in import_modules(modules):
        for model in vars(module).values():
            known = isinstance(model, type) and issubclass(model, CachedModel) and model.__module__ == module.__name__
            if not known or model.__name__.startswith("_"):
                continue
            try:
                table = Table(model, Durability.named(durability))
            except (TypeError, ValueError) as error:
                problems.append(f"{module.__name__}.{model.__name__}: {error}")
                continue
            if table.name in tables:
                problems.append(f"{module.__name__}.{model.__name__}: there are two models of the table {table.name!r}")
            tables[table.name] = table
    if problems:
        raise ConfigurationError(problems)
    return list(tables.values())
