"""What the supervisor has to know of firefly.toml: which processes there are, where they listen, who needs whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

__all__ = ["Address", "Plan", "ServerPlan", "stop_waves"]


@dataclass(frozen=True, kw_only=True)
class Address:
    """One TCP address that a server listens on."""

    key: str
    """Where it stands in the file, as in `servers.gate.web.listen`."""
    url: str
    host: str
    port: int
    replica: int = 0
    """Whose alone it is, where each replica has a port of its own; 0: every replica's."""


@dataclass(frozen=True, kw_only=True)
class ServerPlan:
    """One `[servers.NAME]`."""

    name: str
    fingerprint: str
    """Differs when anything in the file differs that processes of this server have to be started anew for."""
    replicas: int = 1
    critical: bool = False
    code: bool = False
    """Whether it runs handlers, which can be made anew."""
    door: bool = False
    """Whether clients come in here."""
    needs: tuple[str, ...] = ()
    """The servers that this one names in its tables."""
    held: tuple[Address, ...] = ()
    """Where clients come in: the supervisor opens these sockets, one for each replica, and hands them over."""
    own: tuple[Address, ...] = ()
    """Where the server listens by itself."""

    def process_names(self) -> list[str]:
        """Give the names of the processes: `NAME-1` to `NAME-N`."""
        return [f"{self.name}-{replica}" for replica in range(1, self.replicas + 1)]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The whole file; `source` is its text, from which the servers read it until another one is accepted."""

    name: str
    path: str
    var: str
    servers: tuple[ServerPlan, ...]
    source: str = ""
    json_log: bool = False
    log_folder: str | None = None
    """Where lines are kept in files; None: nowhere."""
    log_size: int = 50 * 1024 * 1024
    log_files: int = 10
    drain_timeout: float = 15.0
    failures: int | None = None
    """So many failures of a process within `window` seconds: it is given up; None: never."""
    window: float = 60.0
    secret: bool = False
    """Whether the file or the environment has a secret; otherwise the supervisor makes one."""
    pages: tuple[str, ...] = ()
    """What a browser can open."""
    warnings: tuple[str, ...] = ()

    def process_names(self) -> list[str]:
        """Give the name of every process, in the file's order."""
        return [name for server in self.servers for name in server.process_names()]

    def addresses(self) -> list[Address]:
        """Give every address of every server."""
        return [address for server in self.servers for address in (*server.held, *server.own)]

    def encode(self) -> bytes:
        """Give the plan as JSON."""
        return msgspec.json.encode(self)

    @staticmethod
    def decode(data: bytes) -> Plan:
        """Read what `encode` gave; raises ValueError."""
        return msgspec.json.decode(data, type=Plan)


def stop_waves(servers: Iterable[ServerPlan]) -> list[list[str]]:
    """Give the servers' names in the order in which they stop; those of one wave stop at the same time.

    Doors close first, while everything that their last commands need is still there. Of the others nobody stops before
    those that need him; where they need each other in a ring, the last one of the file goes first.
    """
    every = list(servers)
    waves = [[server.name for server in every if server.door]]
    rest = [server for server in every if not server.door]
    while rest:
        needed = {name for server in rest for name in server.needs if name != server.name}
        wave = [server for server in rest if server.name not in needed] or [rest[-1]]
        waves.append([server.name for server in wave])
        rest = [server for server in rest if server not in wave]
    return [wave for wave in waves if wave]
