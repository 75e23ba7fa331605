"""The node plugin: game logic that runs away from the players' connections."""

from __future__ import annotations

from firefly_core.kernel.hookspecs import hookimpl
from firefly_core.kernel.service import Service

FIREFLY_API = 1


@hookimpl
def firefly_services() -> list[type[Service]]:
    """Offer the service `node`."""
    from firefly_node.node import Node

    return [Node]
