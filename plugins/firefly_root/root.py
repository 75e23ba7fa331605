"""The service `root`: accepts the channels of nodes, and of programs that call what is open to them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from firefly_core.channel.rpc import RpcChannel
from firefly_core.channel.transport import Listener, Transport
from firefly_core.kernel.config.cluster import Cluster
from firefly_core.kernel.kernel import Kernel
from firefly_core.kernel.mesh.directory import Directory, directory_process
from firefly_core.kernel.mesh.providers import ROOT_ROLE
from firefly_core.kernel.service import Phase, Service
from firefly_root.config import RootConfig

__all__ = ["Root"]


class Root(Service):
    """The door for other servers."""

    name = "root"
    phase = Phase.MESH
    Config = RootConfig

    def __init__(self, kernel: Kernel, config: RootConfig) -> None:
        super().__init__(kernel, config)
        self._listeners: list[Listener] = []
        self._channels: set[RpcChannel] = set()
        self._refused = 0
        kernel.mesh.roles.add(ROOT_ROLE)
        kernel.mesh.expected |= _expected(kernel)
        if directory_process(kernel.cluster) == (kernel.server, kernel.replica):
            kernel.directory = Directory(kernel)

    @classmethod
    def check(cls, server: str, config: RootConfig, cluster: Cluster) -> Iterable[tuple[str, str]]:  # noqa: ARG003
        """Refuse what would let strangers in."""
        for listen in config.listen:
            for name, problem in listen.own.problems(listen.url):
                yield "listen", f"{name}: {problem}"
            if _is_loopback(listen.url.host):
                continue
            if config.open:
                yield "open", f"{listen.url} is not a loopback address; an open root listens on loopback only"
            if cluster.firefly.secret is None:
                yield "listen", f"{listen.url} is not a loopback address; set [firefly] secret, so that peers prove it"

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as `host:port`."""
        return [listener.address for listener in self._listeners]

    def start(self) -> None:
        for listen in self.config.listen:
            host, port = listen.address(self.kernel.replica, spread=True)
            network = self.kernel.links.serving(listen)
            descriptor = self.kernel.descriptors.get(str(listen.url))
            listener = network.listen(host, port, self._on_accept, descriptor=descriptor)
            self._listeners.append(listener)
            self.kernel.log.info("nodes connect at %s://%s", listen.url.scheme, listener.address)

    def stop(self) -> None:
        for listener in self._listeners:
            listener.close()
        for channel in list(self._channels):
            channel.close_after_flush("server_stopping")

    def statistics(self) -> Mapping[str, float]:
        return {"channels": len(self._channels), "refused_total": self._refused}

    def _on_accept(self, transport: Transport) -> None:
        if len(self._channels) >= self.config.max_channels:
            self._refused += 1
            transport.close()
            return
        channel = self.kernel.links.accept(transport, strangers=self.config.open, on_lost=self._channels.discard)
        self._channels.add(channel)
        channel.start()


def _expected(kernel: Kernel) -> set[str]:
    """Give the processes that firefly.toml makes nodes of this server."""
    return {
        process
        for server in kernel.cluster.servers.values()
        for service in server.services.values()
        if kernel.server in getattr(service, "roots", ())
        for process in server.process_names()
    }


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
