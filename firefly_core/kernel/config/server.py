"""Server: one `[servers.NAME]` of firefly.toml, and how the tables of all servers are read and checked."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

from firefly_core.kernel.config.config import build, keys, read
from firefly_core.kernel.config.misfit import Misfit, nearest
from firefly_core.kernel.config.problems import Problems, describe
from firefly_core.kernel.config.rules import Site
from firefly_core.kernel.config.sections import ServerConfig
from firefly_core.kernel.hookspecs import ENTRY_POINTS
from firefly_core.kernel.plugins.entry_points import HANDLERS, claims
from firefly_core.kernel.plugins.plugins import Plugins

__all__ = ["MAX_PROCESSES", "MAX_SERVERS", "Server", "read_servers"]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
NUMBERED = re.compile(r".*-[0-9]+")
MAX_SERVERS = 256
MAX_PROCESSES = 1024


@attrs.frozen(kw_only=True, eq=False)
class Server:
    """One `[servers.NAME]`."""

    name: str
    replicas: int
    handlers: tuple[str, ...]
    """Import paths of the modules of handlers."""
    critical: bool
    reload: tuple[str, ...]
    stable: tuple[str, ...]
    services: Mapping[str, Any]
    """The Config object of each service, by the service's name, in the file's order."""
    cpus: tuple[int, ...] = ()
    """The processors that its processes share; empty: all."""

    def cpus_of(self, replica: int) -> set[int]:
        """Give the processors of one replica: those that are dealt to it in turn; empty: all."""
        dealt = self.cpus[replica - 1 :: self.replicas]
        return set(dealt or self.cpus[(replica - 1) % len(self.cpus) :][:1]) if self.cpus else set()

    def process_names(self) -> list[str]:
        """Give the names of the processes: `NAME-1` to `NAME-N`."""
        return [f"{self.name}-{replica}" for replica in range(1, self.replicas + 1)]


def read_servers(
    tables: Mapping[str, Any], folder: Path, plugins: Plugins, problems: Problems, *, complete: bool
) -> dict[str, Server]:
    """Read every `[servers.X]`; `complete` says that no plugin failed, so that an unknown table is no service."""
    if not tables:
        problems.add(("servers",), "at least one [servers.NAME]", got="nothing")
    if len(tables) > MAX_SERVERS:
        problems.add(("servers",), f"at most {MAX_SERVERS} servers", got=f"{len(tables)} servers")
        return {}
    _check_names(list(tables), problems)
    reader = _Reader(Site(folder, tables, plugins, claims(HANDLERS), complete), plugins, problems)
    found = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            problems.add(("servers", name), "a table", got=describe(table))
            continue
        found[name] = reader.read(name, table)
    processes = sum(server.replicas for server in found.values())
    if processes > MAX_PROCESSES:
        problems.add(("servers",), f"at most {MAX_PROCESSES} processes", got=f"{processes} processes")
    return found


def _check_names(names: list[str], problems: Problems) -> None:
    seen: dict[str, str] = {}
    for name in names:
        needs = ""
        if not NAME.fullmatch(name):
            needs = "a server name that begins with a letter and has at most 32 of A-Z, a-z, 0-9, - and _"
        elif NUMBERED.fullmatch(name):
            needs = "a server name without -NUMBER at its end: the processes of a server are named so"
        elif name.lower() in seen:
            needs = f'a name that differs from "{seen[name.lower()]}" in more than case'
        if needs:
            problems.add(("servers", name), needs, got=describe(name))
        seen.setdefault(name.lower(), name)


class _Reader:
    """Reads one server's table after the other."""

    def __init__(self, site: Site, plugins: Plugins, problems: Problems) -> None:
        self.site = site
        self.plugins = plugins
        self.problems = problems
        self.own = keys(ServerConfig)
        self.installed: frozenset[str] | None = None

    def read(self, name: str, table: dict[str, Any]) -> Server:
        """Read one server and note its problems; what is wrong is left out of what the later checks get."""
        at = ("servers", name)
        own = {key: table[key] for key in table if key in self.own}
        made = read(ServerConfig, own, self.site, self.problems, at) or self.rest_of(own)
        services = {}
        rest = [key for key in table if key not in own]
        for key in rest:
            config = self.read_service((*at, key), table[key])
            if config is not None:
                services[key] = config
        if not rest and not made.handlers:
            self.problems.add(at, "a service ([servers.X.SERVICE]) or handlers", got="a server with nothing to do")
        for service in services:
            if made.replicas > 1 and self.plugins.services[service].single:
                needs = f"replicas = 1, because the processes of a server cannot share its {service}"
                self.problems.add((*at, "replicas"), needs, got=str(made.replicas))
        return Server(
            name=name,
            replicas=made.replicas,
            handlers=made.handlers,
            critical=made.critical,
            reload=made.reload,
            stable=made.stable,
            cpus=made.cpus,
            services=MappingProxyType(services),
        )

    def rest_of(self, own: dict[str, Any]) -> ServerConfig:
        """Give what is right of a server's own keys, and of its handlers those that are modules."""
        right: dict[str, Any] = {}
        for key, value in own.items():
            with contextlib.suppress(Misfit):
                right[key] = build(ServerConfig, {key: value}, self.site) and value
        handlers = own.get("handlers")
        if isinstance(handlers, list) and "handlers" not in right:
            right["handlers"] = [each for each in handlers if self._is_module(each)]
        return build(ServerConfig, right, self.site)

    def _is_module(self, name: Any) -> bool:
        try:
            build(ServerConfig, {"handlers": [name]}, self.site)
        except Misfit:
            return False
        return True

    def read_service(self, at: tuple[str, ...], table: Any) -> Any:
        """Read one service's table into its Config; notes its problems and gives None when there are any."""
        cls = self.plugins.services.get(at[-1])
        if cls is not None and isinstance(table, dict):
            return read(cls.Config, table, self.site, self.problems, at)
        if cls is not None:
            self.problems.add(at, f"a table, [{'.'.join(at)}]", got=describe(table))
        elif not isinstance(table, dict):
            names = [*self.own, *self.plugins.services]
            needs = f"one of: {', '.join(self.own)}; or a service's table"
            self.problems.add(at, needs, got="an unknown key", hint=nearest(at[-1], names))
        elif self.site.complete or nearest(at[-1], self.plugins.services):
            # with a plugin missing nobody can tell which other tables would be services
            self._unknown(at)
        return None

    def _unknown(self, at: tuple[str, ...]) -> None:
        offered = self.plugins.services
        needs = f"a service that a plugin offers ({', '.join(offered) or 'none is offered'})"
        if self.installed is None:
            self.installed = frozenset(claims(ENTRY_POINTS)).difference(self.plugins.names)
        if at[-1] in self.installed:
            needs += f'; "{at[-1]}" is installed, add it to firefly.plugins'
        self.problems.add(at, needs, got="an unknown service", hint=nearest(at[-1], offered))
