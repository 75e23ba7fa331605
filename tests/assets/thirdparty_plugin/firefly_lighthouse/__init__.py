"""A plugin of somebody else's: the format `lines`, the service `lighthouse`, and `ctx.port`."""

from firefly_core import hookimpl
from firefly_lighthouse.lighthouse import Lighthouse
from firefly_lighthouse.lines import Lines

FIREFLY_API = 1


@hookimpl
def firefly_protocols():
    return [Lines]


@hookimpl
def firefly_services():
    return [Lighthouse]


@hookimpl
def firefly_context(kernel):
    return {"port": lambda ctx: f"the port of {kernel.name}"}
