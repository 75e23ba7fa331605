"""Where the roots are: a server's root listens at the address in firefly.toml, each replica on a port of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from firefly_core.kernel.config.cluster import Cluster
from firefly_core.kernel.config.credentials import Credentials

__all__ = ["ROOT", "RootAddress", "has_nodes", "root_address", "root_addresses", "root_problems"]

ROOT = "root"
"""The service that other servers connect to; whichever plugin offers it has a key `listen`.

Where that takes `tls://`, the own keys of its listeners are Credentials.
"""


@attrs.frozen
class RootAddress:
    """Where one process listens for other servers."""

    process: str
    host: str
    port: int
    credentials: Credentials | None = None
    """What the two ends show each other, where they speak TLS."""


def root_address(cluster: Cluster, server: str, replica: int) -> RootAddress:
    """Give where a process listens; the first listener of its root counts."""
    declared = cluster.server(server)
    listen = declared.services[ROOT].listen[0]
    host, port = listen.address(replica, spread=True)
    return RootAddress(f"{server}-{replica}", host, port, listen.own if listen.url.scheme == "tls" else None)


def root_addresses(cluster: Cluster, server: str) -> list[RootAddress]:
    """Give the address of each process of `server`."""
    return [root_address(cluster, server, replica) for replica in range(1, cluster.server(server).replicas + 1)]


def has_nodes(cluster: Cluster, server: str) -> bool:
    """Whether other servers connect to the root of `server`."""
    services = [service for other in cluster.servers.values() for service in other.services.values()]
    return any(server in getattr(service, "roots", ()) for service in services)


def root_problems(server: str, roots: Sequence[str], cluster: Cluster) -> Iterable[tuple[str, str]]:
    """Give what is wrong with a list of roots."""
    for name in roots:
        declared = cluster.servers.get(name)
        if name == server:
            yield "roots", f"{name!r} is this server itself"
        elif declared is not None and ROOT not in declared.services:
            yield "roots", f"{name!r} has no root; add [servers.{name}.root]"
