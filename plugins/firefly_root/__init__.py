"""The root plugin: where nodes, and other programs, connect to a server."""

from __future__ import annotations

from firefly_core.kernel.hookspecs import hookimpl
from firefly_core.kernel.service import Service

FIREFLY_API = 1


@hookimpl
def firefly_services() -> list[type[Service]]:
    """Offer the service `root`."""
    from firefly_root.root import Root

    return [Root]
