"""Draws the supervisor's plan from a checked firefly.toml, in a throw-away process: plugins were loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from firefly_core.kernel.config.cluster import Cluster, Server
from firefly_core.kernel.config.config import fields_of, server
from firefly_core.kernel.config.listen import Listeners
from firefly_core.kernel.config.nesting import inner_rule
from firefly_core.kernel.config.rules import Rule
from firefly_core.kernel.service import Phase
from firefly_core.kernel.supervisor.plan import Address, Plan, ServerPlan

__all__ = ["plan_of"]

NAMES_A_SERVER = type(server())
OUR_OWN = ("give_up", "log_folder", "log_size", "log_files")
"""Keys of [firefly] that no server reads: for the sake of these none is started anew."""
PAGES = ("http", "https")


def plan_of(cluster: Cluster) -> Plan:
    """Give the plan of a configuration."""
    give_up = cluster.firefly.give_up
    servers = tuple(_server(found, cluster) for found in cluster.servers.values())
    return Plan(
        name=cluster.name,
        path=str(cluster.path),
        var=str(cluster.firefly.var),
        servers=servers,
        source=cluster.document.text,
        json_log=cluster.firefly.log == "json",
        log_folder=None if cluster.firefly.log_folder is None else str(cluster.firefly.log_folder),
        log_size=cluster.firefly.log_size,
        log_files=cluster.firefly.log_files,
        drain_timeout=cluster.firefly.drain_timeout,
        failures=None if give_up is None else max(1, round(give_up.count)),
        window=60.0 if give_up is None else give_up.seconds,
        secret=cluster.firefly.secret is not None,
        pages=tuple(_page(address) for found in servers for address in found.own if _is_page(address)),
        warnings=cluster.warnings,
    )


def _server(found: Server, cluster: Cluster) -> ServerPlan:
    places = list(_addresses(found))
    needs = tuple(dict.fromkeys(name for name in _named(found) if name != found.name))
    services = cluster.plugins.services
    return ServerPlan(
        name=found.name,
        fingerprint=_fingerprint(found.name, needs, cluster),
        replicas=found.replicas,
        critical=found.critical,
        code=bool(found.handlers),
        door=any(services[name].phase == Phase.DOOR for name in found.services),
        needs=needs,
        held=tuple(address for address, held in places if held),
        own=tuple(address for address, held in places if not held),
    )


def _addresses(found: Server) -> Iterator[tuple[Address, bool]]:
    """Give every address with whether the supervisor holds it: it does where a client protocol is spoken."""
    for service, made in found.services.items():
        for entry, value in fields_of(made):
            rule = inner_rule(entry.rule)
            if not isinstance(rule, Listeners) or value is None:
                continue
            for listen in value:
                held = listen.protocol is not None and not rule.spread
                for replica in range(1, found.replicas + 1) if rule.spread else (0,):
                    host, port = listen.address(replica or 1, spread=rule.spread)
                    key = f"servers.{found.name}.{service}.{entry.name}"
                    yield Address(key=key, url=str(listen.url), host=host, port=port, replica=replica), held


def _named(found: Server) -> Iterator[str]:
    """Give the servers that a server's tables name, in keys that take one or a list of them."""
    for made in found.services.values():
        for entry, value in fields_of(made):
            rule = entry.rule
            while isinstance(inner := getattr(rule, "rule", None), Rule):
                rule = inner
            if isinstance(rule, NAMES_A_SERVER) and value is not None:
                yield from (value,) if isinstance(value, str) else value


def _fingerprint(name: str, needs: tuple[str, ...], cluster: Cluster) -> str:
    values = cluster.document.values
    shared = {key: value for key, value in values["firefly"].items() if key not in OUR_OWN}
    tables = [shared, *(values["servers"][server] for server in (name, *needs))]
    text = json.dumps(tables, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_page(address: Address) -> bool:
    return address.url.partition(":")[0] in PAGES


def _page(address: Address) -> str:
    return address.url if "/" in address.url.partition("://")[2] else f"{address.url}/"
