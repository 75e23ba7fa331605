"""The service `admin`: looks at every server of the cluster, shows what it sees over HTTP, and does what it is told."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from firefly_admin.access import Access, keep_token
from firefly_admin.actions import Actions
from firefly_admin.config import AdminConfig
from firefly_admin.metrics import Collector, exposition
from firefly_admin.panorama import Panorama
from firefly_admin.survey import Survey
from firefly_admin.switches import NAME, Switches
from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.roots import ROOT, root_addresses, root_problems
from firefly_core.kernel.service import Phase, Service

if TYPE_CHECKING:
    from firefly_core.channel.http_server import HttpServer
    from firefly_core.kernel.config.cluster import Cluster
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Admin"]

ADMIN_ROLE = "admin"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
ANY = ("0.0.0.0", "::", "[::]")  # noqa: S104  these are compared with, nothing listens there by default
WEBSOCKET = ("ws", "wss")


class Admin(Service):
    """The console's server. Flask and pywsgi are imported when it starts, not before."""

    name = "admin"
    phase = Phase.DOOR
    Config = AdminConfig
    single = True

    config: AdminConfig

    def __init__(self, kernel: Kernel, config: AdminConfig) -> None:
        super().__init__(kernel, config)
        self.log = kernel.log.getChild("admin")
        self.switches = Switches(kernel.cluster.firefly.var / NAME, kernel.log)
        self.survey = Survey(kernel, self.switches, interval=config.interval, history=config.history)
        self.panorama = Panorama(kernel, self.survey)
        self.actions = Actions(kernel, self.survey, self.panorama, self.switches, config.notice_push)
        self.access: Access | None = None
        self._servers: list[HttpServer] = []
        kernel.mesh.roles.add(ADMIN_ROLE)

    @classmethod
    def check(cls, server: str, config: AdminConfig, cluster: Cluster) -> Iterable[tuple[str, str]]:
        """Refuse a second admin, roots that are none, and an address off loopback that a made token guards."""
        yield from root_problems(server, config.roots, cluster)
        others = [name for name, other in cluster.servers.items() if cls.name in other.services and name != server]
        if others:
            yield "", f"no second admin: [servers.{others[0]}.admin] is one already"
        if config.token is None and not all(_is_loopback(listen.url.host) for listen in config.listen):
            yield "token", "a token as ${NAME} from the environment, because it listens off loopback"

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, as host and port; a port 0 of the file is resolved."""
        return [(str(server.address[0]), int(server.address[1])) for server in self._servers]

    def start(self) -> None:
        """Connect to the roots and listen; raises ConfigurationError when an address or the token cannot be had."""
        self.access = Access(self._token(), self.kernel.clock, self.config.bad_tokens)
        for server in self.config.roots or self._all_roots():
            for address in root_addresses(self.kernel.cluster, server):
                if address.process != self.kernel.name:
                    self.kernel.links.reach(address)
        self.survey.start()
        self._listen(self.access)

    def drain(self) -> None:
        """Accept nobody, and wait until what was asked is answered."""
        for server in self._servers:
            server.drain()

    def stop(self) -> None:
        """Close every listener and connection, and look no more."""
        self.survey.stop()
        servers, self._servers = self._servers, []
        for server in servers:
            server.stop(timeout=0.5)

    def statistics(self) -> Mapping[str, float]:
        """Give the current figures."""
        counts = {
            f"{name}_total": float(sum(server.counts[name] for server in self._servers))
            for name in ("requests", "refused", "late_or_lost", "turned_away")
        }
        return {
            "connections": float(sum(server.open for server in self._servers)),
            "looks_total": self.survey.looks,
            "looks_failed_total": self.survey.failed,
            "tokens_refused_total": self.access.refused if self.access is not None else 0,
            "actions_total": self.actions.done,
            "actions_refused_total": self.actions.refused,
            **counts,
        }

    def _listen(self, access: Access) -> None:
        from firefly_admin.application import make_application
        from firefly_core.channel.http_server import HttpLimits, HttpServer

        collector = Collector(lambda: list(self.survey.views.values()), lambda: self.survey.supervisor)
        application = make_application(
            access=access,
            panorama=self.panorama,
            actions=self.actions,
            metrics=lambda: exposition(collector),
            hosts=self._hosts(),
            doors=self._doors,
            failed=self._failed,
        )
        for listen in self.config.listen:
            try:
                server = HttpServer(listen.address(), application, HttpLimits(max_connections=128), self.log)
            except OSError as error:
                where = f"servers.{self.kernel.server}.admin.listen"
                raise ConfigurationError([f"{where}: cannot listen at {listen.url}: {error.strerror}"]) from error
            self._servers.append(server)
            server.start()
            self.log.info("the console is at http://%s:%s/", *self.addresses[-1])

    def _token(self) -> str:
        if self.config.token is not None:
            return self.config.token
        try:
            token, path = keep_token(self.kernel.cluster.firefly.var)
        except OSError as error:
            where = f"servers.{self.kernel.server}.admin.token"
            raise ConfigurationError([f"{where}: cannot be kept in a file: {error.strerror or error}"]) from error
        self.log.info("the token is in %s", path)
        return token

    def _all_roots(self) -> list[str]:
        return [name for name, server in self.kernel.cluster.servers.items() if ROOT in server.services]

    def _hosts(self) -> frozenset[str]:
        listened = (listen.url.host for listen in self.config.listen)
        bracketed = (f"[{host}]" if ":" in host else host for host in listened if host not in ANY)
        return frozenset(name.lower() for name in (*LOOPBACK_NAMES, *bracketed, *self.config.hosts))

    def _doors(self, host: str) -> Collection[str]:
        """Give the gates' WebSocket addresses as a browser sees them that has come by `host`."""
        found = []
        for server in self.kernel.cluster.servers.values():
            for service in server.services.values():
                for listen in getattr(service, "listen", ()):
                    if listen.protocol is None or listen.url.scheme not in WEBSOCKET:
                        continue
                    own = listen.url.host
                    names = [host] if own in ANY else [own, "localhost"] if own == "127.0.0.1" else [own]
                    found += [f"{listen.url.scheme}://{name}:{listen.url.port}" for name in names]
        return found

    def _failed(self, error: BaseException) -> str:
        trace = self.kernel.new_trace()
        self.log.error("a request failed, trace=%s", trace, exc_info=error)
        return trace


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
