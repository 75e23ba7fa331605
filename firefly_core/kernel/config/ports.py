"""Ports: no two services of the file may listen at one address; replicas that spread take one port each.

Read from the file's tables, not from Config objects, so that one wrong key of a service does not hide its ports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from firefly_core.kernel.config.config import keys
from firefly_core.kernel.config.listen import Listen, Listeners
from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.nesting import inner_rule
from firefly_core.kernel.config.problems import Path, Problems, spell
from firefly_core.kernel.plugins.plugins import Plugins

__all__ = ["check_ports"]

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  these are compared with, nothing listens there
LOOPBACK = {"localhost": "127.0.0.1"}


@attrs.frozen
class Place:
    """One address that some process will listen at."""

    host: str
    port: int
    process: str
    path: Path

    def meets(self, other: Place) -> bool:
        """Whether both cannot be had at once."""
        hosts = {LOOPBACK.get(self.host, self.host), LOOPBACK.get(other.host, other.host)}
        return self.port == other.port and (len(hosts) == 1 or not hosts.isdisjoint(EVERYWHERE))


def _listens(table: Mapping[str, Any], config: type, path: Path) -> Iterator[tuple[Path, Listeners, Listen]]:
    """Give every listener of a service's table that can be read, with its path."""
    for entry in keys(config).values():
        rule = inner_rule(entry.rule)
        raw = table.get(entry.name, None if entry.required else entry.default)
        if not isinstance(rule, Listeners) or raw is None:
            continue
        several = isinstance(raw, list | tuple)
        for index, item in enumerate(raw if several else [raw]):
            try:
                (listen,) = rule.parse(item)
            except Misfit:
                continue  # told already, by whoever read the table
            yield (*path, entry.name, index) if several else (*path, entry.name), rule, listen


def _places(server: str, table: Any, replicas: int, plugins: Plugins) -> Iterator[Place]:
    """Give every address that the processes of a server listen at; those that replicas share are given once."""
    for service, inner in table.items() if isinstance(table, dict) else ():
        if service not in plugins.services or not isinstance(inner, dict):
            continue
        config = plugins.services[service].Config
        for path, rule, listen in _listens(inner, config, ("servers", server, service)):
            for replica in range(1, (replicas if rule.spread else 1) + 1):
                host, port = listen.address(replica, spread=rule.spread)
                yield Place(host, port, f"{server}-{replica}", path)


def check_ports(tables: Mapping[str, Any], replicas: Mapping[str, int], plugins: Plugins, problems: Problems) -> None:
    """Note every address that two services want, and every port that replicas would need beyond 65535."""
    taken: dict[int, list[Place]] = {}
    for server, table in tables.items():
        for place in _places(server, table, replicas.get(server, 1), plugins):
            if place.port > 65535:
                problems.add(place.path, "a port that leaves room for every replica", got=f"port {place.port}")
                break
            others = taken.setdefault(place.port, []) if place.port else []
            clash = next((other for other in others if other.meets(place)), None)
            if clash is None:
                others.append(place)
                continue
            problems.add(
                place.path,
                f"a port of its own: {spell(clash.path)} listens there already ({clash.process})",
                got=f"port {place.port} for {place.process}",
            )
