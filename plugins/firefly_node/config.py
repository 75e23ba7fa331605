"""The keys of `[servers.X.node]`."""

from __future__ import annotations

from firefly_core.kernel.config.config import config, duration, integer, key, list_of, server

__all__ = ["NodeConfig"]


@config
class NodeConfig:
    """Which servers this one connects to, and how much work it takes."""

    roots: tuple[str, ...] = key(list_of(server()), "servers with a root that this one connects to, by name")
    queue: int = key(integer(1, 10_000), "commands of one session that may wait here", 128)
    max_commands: int = key(
        integer(1, 1_000_000), "commands that may wait or run here; beyond that they are answered `overloaded`", 4096
    )
    max_sessions: int = key(
        integer(1, 10_000_000), "sessions here at which gates are asked to send no new ones", 1_000_000
    )
    keep_sessions: float = key(
        duration(0, 3600), "seconds that the sessions of a gate are kept while the channel to it is lost", 10.0
    )
