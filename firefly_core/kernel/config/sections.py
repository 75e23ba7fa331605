"""Sections: the keys of `[firefly]` and those of `[servers.X]` that belong to no service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from firefly_core.kernel.config.channel_config import ChannelConfig
from firefly_core.kernel.config.config import (
    KiB,
    MiB,
    Misfit,
    Rate,
    Rule,
    Site,
    boolean,
    choice,
    config,
    duration,
    import_path,
    integer,
    key,
    list_of,
    nearest,
    optional,
    path,
    rate,
    secret,
    server,
    size,
    text,
)
from firefly_core.kernel.config.table import table_of

__all__ = ["MAX_REPLICAS", "FireflyConfig", "ServerConfig"]

MAX_REPLICAS = 256
MAX_CPU = 4095
MAX_PLUGINS = 256
MAX_HANDLERS = 256


@config
class FireflyConfig:
    """`[firefly]`: what all servers share."""

    name: str = key(text(64, r"[A-Za-z0-9][A-Za-z0-9 ._-]*"), "the game's name, for logs and pages", default="firefly")
    plugins: tuple[str, ...] = key(
        list_of(text(64), high=MAX_PLUGINS),
        "the plugins to import, by entry point name; hooks are called in this order",
    )
    directory: str | None = key(
        optional(server()),
        "the server whose root knows which player is at which gate; by default the first one with a root",
        default=None,
    )
    log: str = key(choice("text", "json"), "how log lines are written", default="text")
    log_level: str = key(
        choice("debug", "info", "warning", "error"), "the least important lines that are logged", default="info"
    )
    log_folder: Path | None = key(
        optional(path()),
        "the folder for log files, one for each process; by default lines go to stderr only. SIGUSR1 opens them anew",
        default=None,
    )
    log_size: int = key(
        size(64 * KiB, 1024 * 1024 * MiB),
        "bytes after which a log file is set aside and a new one begins",
        default=52428800,
    )
    log_files: int = key(integer(1, 1000), "log files of each process that are set aside and kept", default=10)
    drain_timeout: float = key(
        duration(0.0, 3600.0), "seconds that a stopping server gives to work it has accepted", default=15.0
    )
    slow_hub: float = key(
        duration(0.0, 60.0),
        "seconds for which one handler may hold up a whole process before a log line names it; 0: never",
        default=0.1,
    )
    old_secret: str | None = key(
        optional(secret()),
        "a second secret that peers may prove instead, while `secret` is being changed on one server after the other",
        default=None,
    )
    secret: str | None = key(
        optional(secret()),
        "what peers prove to each other that they know; by default firefly-run makes one at each start",
        default=None,
    )
    secret_file: Path | None = key(
        optional(path()), "a file of mode 0600 that holds the secret, instead of `secret`", default=None
    )
    var: Path = key(path(), "the folder for what Firefly keeps between starts", default="var")
    give_up: Rate | None = key(
        rate(),
        "so many failures of a process in so long, and firefly-run starts it no more; off: never",
        default="5/min",
    )
    channel: ChannelConfig = key(table_of(ChannelConfig), "the bounds of channels between servers", default={})


class _Replicas(Rule):
    __slots__ = ()

    def settle(self, value: Any, site: Site) -> int:  # noqa: ARG002
        if value == "cores":
            return min(len(os.sched_getaffinity(0)), MAX_REPLICAS)
        return int(value)


def replicas() -> Rule:
    """Accept a count of processes, or `"cores"` for one per core."""
    count = integer(1, MAX_REPLICAS)
    needs = f'{count.needs}, or "cores"'

    def parse(value: Any) -> Any:
        try:
            return value if value == "cores" else count.parse(value)
        except Misfit:
            raise Misfit(needs, hint=nearest(value, ["cores"])) from None

    return _Replicas(needs, parse)


class _Cpu(Rule):
    __slots__ = ()

    def settle(self, value: Any, site: Site) -> Any:  # noqa: ARG002
        ours = os.sched_getaffinity(0)
        if value not in ours:
            raise Misfit(f"a processor that Firefly may use here: {', '.join(map(str, sorted(ours)))}")
        return value


def cpu() -> Rule:
    """Accept the number of a processor of this machine."""
    number = integer(0, MAX_CPU)
    return _Cpu(number.needs, number.parse)


class _Handlers(Rule):
    __slots__ = ()

    def settle(self, value: Any, site: Site) -> str:
        offered = site.handlers.get(value, ())
        if len(offered) > 1:
            both = " and ".join(f"{claim.distribution} ({claim.value})" for claim in offered)
            raise Misfit("a name that one distribution claims", got=f'"{value}", claimed by {both}')
        if offered:
            return offered[0].value.partition(":")[0].strip()
        try:
            return str(import_path().parse(value))
        except Misfit:
            raise Misfit(self.needs, hint=nearest(value, site.handlers)) from None


def handlers() -> Rule:
    """Accept the import path of a module of handlers, or a name in entry point group firefly.handlers."""
    needs = "the import path of a module, as in game.world, or a name in entry point group firefly.handlers"

    def parse(value: Any) -> str:
        if isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable():
            return value
        raise Misfit(needs)

    return _Handlers(needs, parse)


@config
class ServerConfig:
    """`[servers.X]`: one server; every other key of the table is a service."""

    replicas: int = key(replicas(), 'processes of this server; "cores": one per core', default=1)
    handlers: tuple[str, ...] = key(
        list_of(handlers(), high=MAX_HANDLERS), "modules of handlers that this server runs", default=()
    )
    critical: bool = key(boolean(), "whether everything stops with status 70 when this server gives up", default=False)
    reload: tuple[str, ...] = key(
        list_of(import_path()), "packages that a reload takes anew; by default those of the handlers", default=()
    )
    cpus: tuple[int, ...] = key(
        list_of(cpu(), high=MAX_REPLICAS),
        "the processors that its processes run on, dealt out to them in turn; by default all",
        default=(),
    )
    stable: tuple[str, ...] = key(list_of(import_path()), "modules that a reload never touches", default=())
