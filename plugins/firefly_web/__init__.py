"""The plugin `web`: static files and the game's own HTTP routes, served by Flask on gevent.

from firefly_web import route

@route("/hello/<name>")
def hello(ctx, request, name):
    return {"hello": name}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from firefly_core.kernel.hookspecs import hookimpl
from firefly_web.routes import route

if TYPE_CHECKING:
    from firefly_core.kernel.service import Service

__all__ = ["FIREFLY_API", "route"]

FIREFLY_API = 1


@hookimpl
def firefly_services() -> Iterable[type[Service]]:
    """Offer the service `web`."""
    from firefly_web.web import Web

    return (Web,)
