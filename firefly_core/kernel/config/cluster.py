"""Cluster: the whole firefly.toml, read and checked; nothing has been started yet.

1. the file is read, `${NAME}` is replaced, environment and flags are put above it (document.py)
2. `[firefly]` is read, and the plugins that it names are loaded (plugins.py)
3. every `[servers.X]` and the tables of its services are read by their Config classes (server.py, config.py)
4. what only shows side by side is checked: ports, and each service's own `check`
5. whatever was wrong in any of these is raised at once
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import attrs

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.config import keys, read
from firefly_core.kernel.config.document import Document, open_document
from firefly_core.kernel.config.environment import misspelt
from firefly_core.kernel.config.misfit import Misfit, nearest
from firefly_core.kernel.config.ports import check_ports
from firefly_core.kernel.config.problems import Problems, describe
from firefly_core.kernel.config.rules import Rule, Site
from firefly_core.kernel.config.secrets import clear_secrets, secret_of_file
from firefly_core.kernel.config.sections import FireflyConfig
from firefly_core.kernel.config.server import Server, read_servers
from firefly_core.kernel.handlers.handler_check import modules_of
from firefly_core.kernel.plugins.plugins import Plugins, gather
from firefly_core.kernel.reload.cut import Raised, cut

__all__ = ["Cluster", "Draft", "Server", "draft", "load", "plugin_names", "var_folder"]

SECTIONS = ("firefly", "servers")


@attrs.frozen(kw_only=True, eq=False)
class Cluster:
    """Everything that firefly.toml declares."""

    path: Path
    """The file, absolute."""
    folder: Path
    """Its folder, which relative paths are meant from."""
    name: str
    firefly: FireflyConfig
    servers: Mapping[str, Server]
    plugins: Plugins
    document: Document = attrs.field(repr=False)
    warnings: tuple[str, ...] = ()
    """What is allowed and yet unwise, one line each."""

    def server(self, name: str) -> Server:
        """Give the server `name`; raises ConfigurationError with the nearest name."""
        found = self.servers.get(name)
        if found is None:
            meant = nearest(name, self.servers)
            hint = f'; did you mean "{meant}"?' if meant else ""
            known = ", ".join(self.servers)
            raise ConfigurationError([f"{self.path}: there is no server {name!r}; there are: {known}{hint}"])
        return found

    def process_names(self) -> list[str]:
        """Give the name of every process, in the file's order: `gate-1`, `world-1`, `world-2`."""
        return [name for server in self.servers.values() for name in server.process_names()]

    def handler_modules(self, server: str) -> list[ModuleType]:
        """Import the modules of handlers of a server; raises ConfigurationError naming those that cannot be."""
        return modules_of(self.server(server), self.document)

    def find_process(self, name: str) -> tuple[Server, int]:
        """Give server and replica of a process `NAME-i`; a server's bare name means its first process.

        Raises ConfigurationError with the nearest name.
        """
        bare, _, number = name.rpartition("-")
        if name not in self.servers and bare in self.servers and re.fullmatch("[1-9][0-9]{0,3}", number):
            server = self.servers[bare]
            if int(number) <= server.replicas:
                return server, int(number)
            problem = f"{self.path}: there is no process {name!r}; {bare} has {server.replicas} replicas"
            raise ConfigurationError([problem])
        return self.server(name), 1


@attrs.frozen(kw_only=True)
class Draft:
    """What one reading of a firefly.toml found, problems included."""

    cluster: Cluster | None
    """None where `[firefly]` itself cannot be read."""
    servers: Mapping[str, Server]
    problems: Problems
    document: Document


def load(
    path: Path | str = "firefly.toml",
    environ: Mapping[str, str] = os.environ,
    overrides: Sequence[str] = (),
    *,
    text: str | None = None,
    accepted: bool = False,
) -> Cluster:
    """Read and check a firefly.toml, and put its folder first on `sys.path`, where its modules are imported from.

    `overrides` are `KEY=VALUE` texts that stand above the environment and the file; `text` stands for the file's own
    text; `accepted` says that the whole of it was checked a moment ago, so that what only shows side by side is not
    looked at again. Handlers are not imported here: see `handler_check.check`. Raises ConfigurationError with every
    problem.
    """
    made = draft(path, environ, overrides, text=text, accepted=accepted)
    made.problems.raise_any()
    if made.cluster is None:
        raise ConfigurationError([f"{path}: [firefly] cannot be read"])
    return made.cluster


def draft(
    path: Path | str,
    environ: Mapping[str, str],
    overrides: Sequence[str] = (),
    *,
    text: str | None = None,
    accepted: bool = False,
) -> Draft:
    """Do what `load` does, and give problems back instead of raising them; `text` stands for the file's own text.

    Raises ConfigurationError when there is nothing to read.
    """
    path = Path(path)
    problems = Problems(str(path))
    document = open_document(path, environ, overrides, _rules(), problems, text=text)
    absolute = path.absolute()
    enter(absolute.parent)
    tables = _tables(document.values, problems)
    firefly = _read_firefly(document.values, absolute.parent, tables, problems)
    plugins, complete = _load_plugins(document.values, problems)
    before = len(problems.found)
    servers = read_servers(tables, absolute.parent, plugins, problems, complete=complete)
    whole = complete and len(problems.found) == before
    check_ports(tables, {server.name: server.replicas for server in servers.values()}, plugins, problems)
    if firefly is None:
        return Draft(cluster=None, servers=servers, problems=problems, document=document)
    cluster = Cluster(
        path=absolute,
        folder=absolute.parent,
        name=firefly.name,
        firefly=firefly,
        servers=MappingProxyType(servers),
        plugins=plugins,
        document=document,
        warnings=(*clear_secrets(document, firefly, servers), *misspelt(environ, _rules())),
    )
    if whole and not accepted:
        # where a service could not be read, its neighbours would miss it and say what is not so
        _check_together(cluster, problems)
    return Draft(cluster=cluster, servers=servers, problems=problems, document=document)


def plugin_names(path: Path, environ: Mapping[str, str], overrides: Sequence[str] = ()) -> list[str]:
    """Give the names in `firefly.plugins` and check nothing else; raises ConfigurationError where there are none."""
    problems = Problems(str(path))
    document = open_document(path, environ, overrides, _rules(), problems)
    table = document.values.get("firefly")
    names = table.get("plugins") if isinstance(table, dict) else None
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return names
    problems.add(("firefly", "plugins"), "a list of the names of plugins", got=describe(names))
    raise ConfigurationError(problems.texts())


def var_folder(path: Path, environ: Mapping[str, str], overrides: Sequence[str] = ()) -> Path:
    """Give the folder `firefly.var` and check nothing else; the default where the file cannot be read."""
    rule, default = keys(FireflyConfig)["var"].rule, keys(FireflyConfig)["var"].default
    try:
        document = open_document(path, environ, overrides, _rules(), Problems(str(path)))
        folder = rule.parse(document.values["firefly"]["var"])
    except (ConfigurationError, Misfit, KeyError, TypeError):
        folder = rule.parse(default)
    return Path(rule.settle(folder, Site(path.absolute().parent)))


def _rules() -> dict[str, Rule]:
    return {name: entry.rule for name, entry in keys(FireflyConfig).items()}


def enter(folder: Path) -> None:
    """Put a folder first on `sys.path`."""
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))


def _tables(values: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """Give the tables of the servers; notes sections that are unknown."""
    for name in values:
        if name not in SECTIONS:
            hint = nearest(name, SECTIONS)
            problems.add((name,), "[firefly] or [servers.NAME]", got="an unknown section", hint=hint)
    servers = values.get("servers", {})
    if isinstance(servers, dict):
        return servers
    problems.add(("servers",), "tables, each [servers.NAME]", got=describe(servers))
    return {}


def _read_firefly(
    values: Mapping[str, Any], folder: Path, tables: Mapping[str, Any], problems: Problems
) -> FireflyConfig | None:
    table = values.get("firefly", {})
    if not isinstance(table, dict):
        problems.add(("firefly",), "a table", got=describe(table))
        return None
    firefly = read(FireflyConfig, table, Site(folder, tables), problems, ("firefly",))
    return None if firefly is None else secret_of_file(firefly, problems)


def _load_plugins(values: Mapping[str, Any], problems: Problems) -> tuple[Plugins, bool]:
    """Load what `[firefly]` names; also says whether everything could be loaded."""
    table = values.get("firefly")
    names = table.get("plugins") if isinstance(table, dict) else None
    if not isinstance(names, list):
        return Plugins(), False
    wanted = [name for name in names if isinstance(name, str)]
    plugins, texts = gather(wanted)
    for text in texts:
        problems.add(("firefly", "plugins"), text)
    return plugins, not texts and len(wanted) == len(names)


def _check_together(cluster: Cluster, problems: Problems) -> None:
    """Ask every service for what only shows beside the other servers."""
    for server in cluster.servers.values():
        for name, config in server.services.items():
            at = ("servers", server.name, name)
            service = cluster.plugins.services[name]
            where = f"{service.__qualname__}.check of plugin {cluster.plugins.provider('services', name)!r}"
            try:
                found = cut(
                    where, lambda check, *about: list(check(*about)), service.check, server.name, config, cluster
                )
            except Raised as raised:
                problems.add(at, f"{where}: {raised}")
                continue
            for key, problem in found:
                problems.add((*at, key) if key else at, problem)


def _listed(check: Callable[..., Iterable[tuple[str, str]]], *about: Any) -> list[tuple[str, str]]:
    return [(str(key), str(problem)) for key, problem in check(*about)]
