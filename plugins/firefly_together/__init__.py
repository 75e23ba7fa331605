"""The together plugin: players who belong together, such as a party or a match, come to the same process of a server.

[servers.gate.together.by]
arena = "match"          # the same session.data["match"], the same arena
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from firefly_core.kernel.hookspecs import hookimpl
from firefly_core.kernel.service import Service

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.session import Session

FIREFLY_API = 1


@hookimpl
def firefly_services() -> list[type[Service]]:
    """Offer the service `together`."""
    from firefly_together.together import Together

    return [Together]


@hookimpl
def firefly_route(kernel: Kernel, session: Session, nodes: Sequence[str]) -> str | None:
    """Choose by what the session has in common with others, on servers that have the service."""
    from firefly_together.together import Together

    together = kernel.services.get(Together.name)
    return together.choose(session, nodes) if isinstance(together, Together) else None
