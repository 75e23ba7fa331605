"""Telemetry: what every server counts and answers for the admin, whether it has the admin service or not.

It is made when the kernel asks for middleware, lives in `kernel.extensions["admin"]`, and answers verbs of the kernel's
inspection: `report sessions groups kick notice switch logs describe`.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from firefly_admin.log_tail import LogTail
from firefly_admin.meter import Meter
from firefly_admin.roster import Roster
from firefly_admin.switches import NAME, Switch, read_switches
from firefly_core.kernel.handlers.handlers import Handler

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel

__all__ = ["EXTENSION", "Telemetry", "telemetry_of"]

EXTENSION = "admin"
SCHEMA = 4096
"""Bytes of a request's schema; a longer one is left out."""


class Telemetry:
    """The counters of one kernel, its sessions, and the tail of its log."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._meters: dict[tuple[str, str], Meter] = {}
        self._off = read_switches(kernel.cluster.firefly.var / NAME, kernel.log)
        self.roster = Roster(kernel)
        self.tail = LogTail([name for name in kernel.cluster.process_names() if name != kernel.name])
        logging.getLogger().addHandler(self.tail)
        roster = self.roster
        kernel.inspection.verbs |= {
            "report": self.report,
            "switch": self.switch,
            "logs": self.tail.lines,
            "describe": self.describe,
            "sessions": roster.sessions,
            "groups": roster.groups,
            "kick": roster.kick,
            "notice": roster.notice,
        }
        if self._off:
            kernel.log.warning("switched off are: %s", ", ".join(f"{kind} {name}" for kind, name in sorted(self._off)))

    def meter(self, handler: Handler, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give a handler's function with the counting around it; a middleware."""
        return self._meter_of(handler).around(handler, function)

    def settle(self) -> None:
        """Let go of the meters of handlers that are gone and have never run; a reload made or removed them."""
        present = {(handler.kind, handler.name) for handler in self._kernel.handlers}
        self._meters = {key: meter for key, meter in self._meters.items() if meter.runs or key in present}

    def close(self) -> None:
        """Let go of the log."""
        logging.getLogger().removeHandler(self.tail)

    # --------------------------------------------------------------------------------------------------- verbs

    def report(self) -> dict[str, Any]:
        """Give everything that the admin looks at regularly, in one answer."""
        inspection = self._kernel.inspection
        # Those that have not run yet are told too.
        present = {self._meter_of(handler) for handler in self._kernel.handlers}
        return {
            "about": inspection.about(),
            "peers": inspection.peers(),
            "statistics": inspection.statistics(),
            # A reload that was refused, or has removed a handler, leaves meters of nothing.
            "meters": [meter.look() for meter in self._meters.values() if meter.runs or meter in present],
            "off": sorted(self._off),
            "log": dict(self.tail.counts),
        }

    def switch(self, off: Iterable[Iterable[str]]) -> None:
        """Take over what is switched off, whole."""
        wanted: frozenset[Switch] = frozenset((str(kind), str(name)) for kind, name in off)
        changed = wanted ^ self._off
        self._off = wanted
        for key, meter in self._meters.items():
            meter.off = key in wanted
        for kind, name in sorted(changed):
            self._kernel.log.warning("%s %s is switched %s", kind, name, "off" if (kind, name) in wanted else "on")

    def describe(self) -> dict[str, Any]:
        """Give what the handlers of this server look like to a client."""
        table = self._kernel.handlers
        return {
            "commands": [_described(handler) for handler in table.commands.values()],
            "remotes": [_described(handler) for handler in table.remotes.values()],
            "pushes": [{"id": push.id, "name": push.name, "policy": push.policy} for push in table.pushes.values()],
        }

    def _meter_of(self, handler: Handler) -> Meter:
        key = (handler.kind, handler.name)
        meter = self._meters.get(key)
        if meter is None:
            meter = self._meters[key] = Meter(*key, handler.id)
            meter.off = key in self._off
        return meter


def telemetry_of(kernel: Kernel) -> Telemetry:
    """Give the telemetry of a kernel; made at the first call."""
    found: Telemetry | None = kernel.extensions.get(EXTENSION)
    if found is None:
        found = kernel.extensions[EXTENSION] = Telemetry(kernel)
    return found


def _described(handler: Handler) -> dict[str, Any]:
    return {
        "kind": handler.kind,
        "id": handler.id,
        "name": handler.name,
        "public": handler.public,
        "timeout": handler.timeout,
        "rate": f"{handler.rate.count:g}/{handler.rate.seconds:g}s" if handler.rate is not None else None,
        "roles": sorted(handler.roles),
        "source": handler.source,
        "help": (inspect.getdoc(handler.function) or "").partition("\n")[0][:200],
        "schema": _schema(handler),
    }


def _schema(handler: Handler) -> Any:
    """Give what a command's body has to be, as JSON Schema; None where it has none or no schema can be made."""
    if handler.kind != "command" or not handler.parameters or handler.parameters[0] in (bytes, Any):
        return None
    try:
        made = msgspec.json.schema(handler.parameters[0])
    except (TypeError, RuntimeError):
        return None
    return made if len(msgspec.json.encode(made)) <= SCHEMA else None
