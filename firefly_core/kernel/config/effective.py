"""Effective: the configuration that counts, defaults included, fit to be shown and to be read again."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from firefly_core.kernel.config.cluster import Cluster
from firefly_core.kernel.config.config import Key, keys
from firefly_core.kernel.config.listen import Listen, Listeners
from firefly_core.kernel.config.nesting import inner_rule
from firefly_core.kernel.config.secrets import mask
from firefly_core.kernel.config.sections import FireflyConfig, ServerConfig
from firefly_core.kernel.config.table import Table

__all__ = ["effective", "plain"]


def effective(cluster: Cluster) -> dict[str, Any]:
    """Give every key with its value: as written where it was, its default otherwise; secrets are hidden."""
    shown = mask(cluster.document, cluster.firefly, cluster.servers)
    firefly = _filled(shown.get("firefly", {}), keys(FireflyConfig))
    servers = {}
    for server in cluster.servers.values():
        table = shown["servers"][server.name]
        own = keys(ServerConfig)
        filled = _filled({name: table[name] for name in table if name in own}, own)
        for name, made in server.services.items():
            filled[name] = _service(table[name], made)
        servers[server.name] = filled
    return {"firefly": firefly, "servers": servers}


def _filled(table: Mapping[str, Any], known: Mapping[str, Key]) -> dict[str, Any]:
    """Give the table in the order of its keys' declaration, with the defaults of those that are absent."""
    filled: dict[str, Any] = {}
    for name, entry in known.items():
        rule = inner_rule(entry.rule)
        if isinstance(rule, Table):
            filled[name] = _filled(table.get(name, {}), keys(rule.cls))
        elif name in table:
            filled[name] = table[name]
        elif not entry.required and entry.default is not None:
            filled[name] = plain(entry.default)
    return filled


def _service(table: Mapping[str, Any], made: Any) -> dict[str, Any]:
    known = keys(type(made))
    filled = _filled(table, known)
    for name, entry in known.items():
        if isinstance(inner_rule(entry.rule), Listeners) and name in filled:
            filled[name] = _listeners(filled[name], getattr(made, name))
    return filled


def _listeners(raw: Any, made: tuple[Listen, ...]) -> Any:
    if not isinstance(raw, list):
        return _listener(raw, made[0])
    return [_listener(item, listen) for item, listen in zip(raw, made, strict=True)]


def _listener(raw: Any, listen: Listen) -> Any:
    table = dict(raw) if isinstance(raw, dict) else {"url": raw}
    if listen.protocol is not None:
        table.setdefault("protocol", listen.protocol.name)
        table.setdefault("codec", listen.codec)
    for made in (listen.own, listen.settings):
        if made is not None:
            table |= _filled(table, keys(type(made)))
    return table if len(table) > 1 else table["url"]


def plain(value: Any) -> Any:
    """Give a default in the types of TOML."""
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return copy.copy(value) if isinstance(value, str | int | float) else str(value)
