"""The gate plugin: players connect to it."""

from __future__ import annotations

from firefly_core.kernel.hookspecs import hookimpl
from firefly_core.kernel.service import Service

FIREFLY_API = 1


@hookimpl
def firefly_services() -> list[type[Service]]:
    """Offer the service `gate`."""
    from firefly_gate.gate import Gate

    return [Gate]
