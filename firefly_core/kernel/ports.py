"""Ports: no two services of the file may listen at one address; replicas that spread take one port each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

from firefly_core.kernel.config import fields_of
from firefly_core.kernel.listen import Listeners
from firefly_core.kernel.nesting import inner_rule
from firefly_core.kernel.problems import Path, Problems

if TYPE_CHECKING:
    from firefly_core.kernel.cluster import Server

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


def places(server: Server) -> Iterator[Place]:
    """Give every address that the processes of a server listen at; those that replicas share are given once."""
    for service, made in server.services.items():
        for entry, value in fields_of(made):
            rule = inner_rule(entry.rule)
            if not isinstance(rule, Listeners) or value is None:
                continue
            for index, listen in enumerate(value):
                path: Path = ("servers", server.name, service, entry.name, index)
                for replica in range(1, (server.replicas if rule.spread else 1) + 1):
                    host, port = listen.address(replica, spread=rule.spread)
                    yield Place(host, port, f"{server.name}-{replica}", path)


def check_ports(servers: Mapping[str, Server], problems: Problems) -> None:
    """Note every address that two services want, and every port that replicas would need beyond 65535."""
    taken: dict[int, list[Place]] = {}
    for server in servers.values():
        for place in places(server):
            if place.port > 65535:
                problems.add(place.path, "a port that leaves room for every replica", got=f"port {place.port}")
                break
            others = taken.setdefault(place.port, []) if place.port else []
            clash = next((other for other in others if other.meets(place)), None)
            if clash is None:
                others.append(place)
                continue
            theirs = ".".join(str(part) for part in clash.path[:-1])
            problems.add(
                place.path,
                f"a port of its own: {theirs} listens there already ({clash.process})",
                got=f"port {place.port} for {place.process}",
            )
