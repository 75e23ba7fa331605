"""Handler check: import every server's modules of handlers, within five seconds each, and collect what they mark."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import attrs

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.reload.cut import Raised, cut

if TYPE_CHECKING:
    from firefly_core.kernel.config.cluster import Cluster
    from firefly_core.kernel.config.document import Document
    from firefly_core.kernel.config.server import Server
    from firefly_core.kernel.handlers.handlers import Handler, HandlerTable

__all__ = ["Checked", "check", "import_modules", "modules_of"]


@attrs.frozen
class Checked:
    """A firefly.toml without problems, and the handlers of each server by the server's name."""

    cluster: Cluster
    handlers: Mapping[str, HandlerTable]


def import_modules(names: Iterable[str], where: str = "") -> list[ModuleType]:
    """Import modules by name; raises ConfigurationError that names every module that cannot be imported, and why."""
    modules = []
    problems = []
    for name in dict.fromkeys(names):
        try:
            modules.append(cut(f"{where}module {name!r}", importlib.import_module, name))
        except Raised as raised:
            sys.modules.pop(name, None)
            problems.append(f"{where}module {name!r}: {_why(name, raised)}")
    if problems:
        raise ConfigurationError(problems)
    return modules


def _why(name: str, raised: Raised) -> str:
    cause = raised.__cause__
    missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
    if missing and (name == missing or name.startswith(f"{missing}.")):
        return "there is no such module, neither beside firefly.toml nor installed"
    return f"cannot be imported: {raised}"


def modules_of(server: Server, document: Document) -> list[ModuleType]:
    """Import a server's modules of handlers; raises ConfigurationError naming file, line, key and module."""
    file, line = document.source(("servers", server.name, "handlers"))
    place = f"{file}:{line}" if line else file
    return import_modules(server.handlers, f"{place}: servers.{server.name}.handlers: ")


def check(
    path: Path | str = "firefly.toml", environ: Mapping[str, str] = os.environ, overrides: Sequence[str] = ()
) -> Checked:
    """Do everything that can be done without starting anything: `load`, and every server's handlers.

    Raises ConfigurationError with every problem: those of `load`, modules that cannot be imported or mark nothing,
    wrong marks, and a command id or name that two functions of the file have.
    """
    from firefly_core.kernel.config.cluster import draft

    made = draft(path, environ, overrides)
    tables, problems = _collect(made.servers, made.document)
    every = [*made.problems.texts(), *problems]
    if every or made.cluster is None:
        raise ConfigurationError(every)
    return Checked(made.cluster, tables)


def _collect(servers: Mapping[str, Server], document: Document) -> tuple[dict[str, HandlerTable], list[str]]:
    from firefly_core.kernel.handlers.handlers import collect

    problems: list[str] = []
    tables: dict[str, HandlerTable] = {}
    for server in servers.values():
        try:
            tables[server.name] = collect(modules_of(server, document))
        except ConfigurationError as error:
            problems += error.problems
    problems += _doubles(tables)
    return tables, list(dict.fromkeys(problems))


def _doubles(tables: dict[str, HandlerTable]) -> list[str]:
    """Give the command ids and names that stand for different functions on different servers."""
    problems = []
    ids: dict[int, tuple[str, Handler]] = {}
    names: dict[str, tuple[str, Handler]] = {}
    for server, table in tables.items():
        for handler in table.commands.values():
            other, theirs = ids.setdefault(handler.id, (server, handler))
            if theirs.function is not handler.function:
                problems.append(
                    f"{handler.source}: @command {handler.function.__name__}: command id {handler.id} of server "
                    f"{server} is taken by {theirs.function.__name__} of server {other} at {theirs.source}"
                )
                continue
            other, theirs = names.setdefault(handler.name, (server, handler))
            if theirs.function is not handler.function:
                problems.append(
                    f"{handler.source}: @command {handler.function.__name__}: command name {handler.name!r} of server "
                    f"{server} is taken by {theirs.function.__name__} of server {other} at {theirs.source}"
                )
    return problems
