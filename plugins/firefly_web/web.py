"""Web: the service that serves a folder of files and the game's routes over HTTP."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.handlers.context import HandlerContext
from firefly_core.kernel.handlers.handler_check import import_modules
from firefly_core.kernel.handlers.handlers import Handler
from firefly_core.kernel.service import Phase, Service
from firefly_web.config import WebConfig
from firefly_web.routes import Route, collect_routes

if TYPE_CHECKING:
    from firefly_core.channel.http_server import HttpServer
    from firefly_core.kernel.config.cluster import Cluster
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Web"]

BELOW = re.compile(r"(/[\w~-][\w.~-]*)+", re.ASCII)
"""A path below which a folder may be served."""
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Web(Service):
    """Serves HTTP at each address of `listen`. Flask and pywsgi are imported when it starts, not before."""

    name = "web"
    phase = Phase.DOOR
    Config = WebConfig
    single = True

    config: WebConfig

    def __init__(self, kernel: Kernel, config: Any) -> None:
        super().__init__(kernel, config)
        self.log = kernel.log.getChild("web")
        self._servers: list[HttpServer] = []
        self._handlers: dict[Route, Handler] = {}

    @classmethod
    def check(cls, server: str, config: Any, cluster: Cluster) -> Iterable[tuple[str, str]]:  # noqa: ARG003
        """Give what is wrong with the folder and with the modules of routes."""
        if config.static is None and not config.files and not config.routes:
            yield "", "a folder as `static`, or modules as `routes`: it has nothing to serve"
        if config.static is not None and not config.static.is_dir():
            yield "static", f"a folder that exists ({config.static} does not)"
        for where, folder in config.files.items():
            if not BELOW.fullmatch(where):
                yield "files", f'paths such as "/client", not {where!r}'
            if not folder.is_dir():
                yield "files", f"folders that exist ({folder} does not)"
        try:
            collect_routes(import_modules(config.routes))
        except ConfigurationError as error:
            for problem in error.problems:
                yield "routes", problem

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, as host and port; a port 0 of the file is resolved."""
        return [(str(server.address[0]), int(server.address[1])) for server in self._servers]

    def start(self) -> None:
        """Listen; raises ConfigurationError when an address cannot be had."""
        from firefly_core.channel.http_server import HttpLimits, HttpServer
        from firefly_web.application import make_application

        config = self.config
        routes = collect_routes(import_modules(config.routes))
        self._handlers = {route: _handler(route) for route in routes}
        application = make_application(
            folders={"": config.static, **config.files} if config.static is not None else config.files,
            routes=routes,
            run=self._run,
            trace=self._trace,
            policy=config.content_policy,
            hosts=self._hosts(),
            max_age=config.max_age,
            max_body=config.max_body,
        )
        limits = HttpLimits(
            timeout=config.timeout,
            head_timeout=config.head_timeout,
            idle_timeout=config.idle_timeout,
            max_connections=config.max_connections,
            max_head=config.max_head,
            max_body=config.max_body,
        )
        for listen in config.listen:
            try:
                server = HttpServer(listen.address(), application, limits, self.log)
            except OSError as error:
                where = f"servers.{self.kernel.server}.web.listen"
                raise ConfigurationError([f"{where}: cannot listen at {listen.url}: {error.strerror}"]) from error
            self._servers.append(server)
            server.start()
            self.log.info("serving http://%s:%s/", *self.addresses[-1])

    def drain(self) -> None:
        """Accept nobody, and wait until what was asked is answered."""
        for server in self._servers:
            server.drain()

    def stop(self) -> None:
        """Close every listener and connection."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.stop(timeout=0.5)

    def statistics(self) -> Mapping[str, float]:
        """Give the current figures of all addresses together."""
        counts = {
            f"{name}_total": float(sum(server.counts[name] for server in self._servers))
            for name in ("requests", "refused", "late_or_lost", "turned_away")
        }
        return {"connections": float(sum(server.open for server in self._servers)), **counts}

    def _hosts(self) -> tuple[str, ...]:
        """Give the names that a Host header may have: what is configured, or loopback's names on loopback."""
        if self.config.hosts:
            return tuple(name.lower() for name in self.config.hosts)
        hosts = [listen.url.host for listen in self.config.listen]
        return LOOPBACK_NAMES if all(_is_loopback(host) for host in hosts) else ()

    def _run(self, route: Route, request: Any, parts: Mapping[str, Any]) -> Any:
        handler = self._handlers[route]
        deadline = self.kernel.clock.monotonic() + self.config.timeout
        context = HandlerContext(self.kernel, handler, None, deadline)
        return self.kernel.callable(handler)(context, request, **parts)

    def _trace(self, error: BaseException, route: Route) -> str:
        context = HandlerContext(self.kernel, self._handlers[route])
        context.log.error("@route %s failed", route.name, exc_info=error)
        return context.trace


def _handler(route: Route) -> Handler:
    return Handler(kind="route", name=route.name, function=route.function, source=route.source)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
