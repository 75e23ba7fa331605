"""Inspection: what a tool for operators asks a server, or has it do, wherever in the cluster that server is.

1. `ask("world-1", "statistics")`: the own server answers at once, a connected one over its channel
2. one that is not connected is reached through `via`, a peer that is: it passes the question on, once
3. over there the verb runs on a runner; services and plugins have added verbs of their own

Peers have proved who they are before their first question; clients of an open root cannot ask.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from firefly_core.errors import Disconnected, NoSuchMethod
from firefly_core.kernel.config.config import fields_of
from firefly_core.kernel.config.listen import Listeners
from firefly_core.kernel.config.nesting import inner_rule

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.mesh.peer import Peer

__all__ = ["Inspection", "Verb"]

INSPECT = "firefly.inspect"
TIMEOUT = 2.0
RELAY_TIMEOUT = 5.0
PAGE = os.sysconf("SC_PAGE_SIZE")

Verb = Callable[..., Any]
"""Answers a question: its parameters are plain values, and so is its result; it may block."""


class Inspection:
    """The questions that one server answers."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._began = kernel.clock.time()
        self.verbs: dict[str, Verb] = {"about": self.about, "peers": self.peers, "statistics": self.statistics}
        """What can be asked; services and plugins add to it before the server starts."""
        kernel.mesh.methods[INSPECT] = self._on_inspect

    def ask(self, process: str, verb: str, *parameters: Any, via: str | None = None, timeout: float = TIMEOUT) -> Any:
        """Ask a process, here, connected, or behind the peer `via`; blocks for its answer.

        Raises CallError: NoSuchMethod where it does not know the verb, Disconnected where it cannot be reached.
        """
        if process == self._kernel.name:
            return self._answer(verb, parameters)
        peer = self._connected(via or process)
        return peer.call(INSPECT, process, verb, list(parameters), timeout=timeout)

    def about(self) -> dict[str, Any]:
        """Give who this server is."""
        kernel = self._kernel
        return {
            "name": kernel.name,
            "server": kernel.server,
            "replica": kernel.replica,
            "pid": os.getpid(),
            "epoch": kernel.epoch,
            "boot": f"{kernel.boot_id:016x}",
            "since": self._began,
            "version": _version(),
            "code": kernel.code.version.plain(),
            "python": platform.python_version(),
            "roles": sorted(kernel.mesh.roles),
            "services": list(kernel.services),
            "listens": self._listens(),
        }

    def peers(self) -> list[dict[str, Any]]:
        """Give the servers that this one has been connected to, with the figures of the channels that stand."""
        return [
            {
                "name": peer.name,
                "roles": sorted(peer.roles),
                "connected": peer.connected,
                "announced": peer.announced,
                "draining": peer.draining,
                "calls": peer.calls,
                "figures": dict(peer.channel.statistics()) if peer.channel is not None else {},
            }
            for peer in list(self._kernel.mesh.peers.values())
        ]

    def statistics(self) -> dict[str, Any]:
        """Give every figure of this server: `services` and `parts` by name, `plugins`, and how late the hub is."""
        kernel = self._kernel
        parts = {
            "runners": kernel.runners.statistics(),
            "deadlines": kernel.deadlines.statistics(),
            "timers": kernel.timers.statistics(),
            "links": kernel.links.statistics(),
            "relay": kernel.mesh.relay.statistics(),
            "groups": {"undelivered_total": kernel.groups.undelivered},
            "hub": kernel.hub_watch.statistics(),
            "process": _process_figures(kernel.clock.time() - self._began),
        }
        if kernel.directory is not None:
            parts["directory"] = {"players": len(kernel.directory)}
        return {
            "services": kernel.statistics(),
            "parts": parts,
            "plugins": dict(kernel.plugins.failures),
            "hub_lag": {"buckets": kernel.hub_watch.lag.plain(), "total": kernel.hub_watch.lag.total},
        }

    def _on_inspect(self, _peer: Peer, process: str, verb: str, parameters: Sequence[Any]) -> Any:
        if process == self._kernel.name:
            return self._answer(verb, parameters)
        # Whoever has that name answers himself: a question is never passed on twice.
        return self._connected(process).call(INSPECT, process, verb, list(parameters), timeout=RELAY_TIMEOUT)

    def _answer(self, verb: str, parameters: Sequence[Any]) -> Any:
        answer = self.verbs.get(verb)
        if answer is None:
            raise NoSuchMethod(f"{self._kernel.name} cannot be asked for {verb}")
        return answer(*parameters)

    def _connected(self, process: str) -> Peer:
        peer = self._kernel.mesh.peers.get(process)
        if peer is None or not peer.connected:
            raise Disconnected(f"{process} is not connected to {self._kernel.name}", sent=False)
        return peer

    def _listens(self) -> list[dict[str, Any]]:
        kernel = self._kernel
        found = []
        for service, made in kernel.declaration.services.items():
            for entry, value in fields_of(made):
                rule = inner_rule(entry.rule)
                if not isinstance(rule, Listeners) or value is None:
                    continue
                for listen in value:
                    host, port = listen.address(kernel.replica, spread=rule.spread)
                    found.append(
                        {
                            "service": service,
                            "url": f"{listen.url.scheme}://{host}:{port}{listen.url.path}",
                            "protocol": listen.protocol.name if listen.protocol is not None else None,
                            "codec": listen.codec or None,
                        }
                    )
        return found


def _version() -> str:
    try:
        return version("firefly-core")
    except PackageNotFoundError:
        return "not installed"


def _process_figures(uptime: float) -> dict[str, float]:
    with open("/proc/self/statm", "rb") as file:
        resident = int(file.read().split()[1]) * PAGE
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "resident_bytes": resident,
        "cpu_seconds_total": time.process_time(),
        "open_files": len(os.listdir("/proc/self/fd")),
        "voluntary_switches_total": used.ru_nvcsw,
        "involuntary_switches_total": used.ru_nivcsw,
        "uptime_seconds": uptime,
    }
