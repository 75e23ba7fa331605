"""A whole cluster in one process: the kernels of one firefly.toml over links in memory, or over real sockets.

    with virtual_time(seed=3) as world, InProcessCluster(TOML, handlers={"world": [login, catch]}) as cluster:
        cluster.start()
        ann = cluster.connect()
        ann.request("login", {"name": "Ann"})
        cluster.crash("world")
        ...

On the virtual loop every server has a clock of its own, which `clock("world").jump(3600)` sets wrong; monotonic time
begins somewhere else for each.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import gevent
from gevent import get_hub

from firefly_core.channel.network import SocketNetwork
from firefly_core.channel.transport import Network
from firefly_core.errors import DeadlineExceeded
from firefly_core.kernel.config.cluster import Cluster
from firefly_core.kernel.kernel import Kernel
from firefly_core.testing.client import FakeClient
from firefly_core.testing.client_wire import ClientWire
from firefly_core.testing.clock import VirtualClock
from firefly_core.testing.declaration import Declaration, Handlers, wire_of
from firefly_core.testing.memory_network import MemoryNetwork
from firefly_core.testing.virtual_loop import VirtualLoop

__all__ = ["InProcessCluster"]

SECRET = b"known to every server of a test!"


class InProcessCluster:
    """The servers of one declaration; nothing runs before `start`.

    `declaration` is the text of a firefly.toml, or the path of one. `handlers` stand for the handler modules of a
    server: modules, or marked functions, by the server's name. `network`: a MemoryNetwork of its own from `seed` unless
    given; "sockets" means the machine's. `folder` is where relative paths are meant from: a temporary one unless given.
    Raises ConfigurationError with every problem of the declaration.
    """

    def __init__(
        self,
        declaration: str | Path,
        *,
        handlers: Handlers | None = None,
        network: MemoryNetwork | str | None = None,
        seed: int = 1,
        folder: Path | None = None,
        environ: Mapping[str, str] | None = None,
        secret: bytes = SECRET,
    ) -> None:
        self.seed = seed
        self._declaration = Declaration(declaration, handlers=handlers or {}, folder=folder, environ=environ or {})
        self.declared: Cluster = self._declaration.cluster
        self._secret = secret
        self._random = random.Random(seed)  # noqa: S311  repeatable, not secret
        if network == "sockets":
            self.network: MemoryNetwork | None = None
        else:
            self.network = network if isinstance(network, MemoryNetwork) else MemoryNetwork(seed)
        self.kernels: dict[str, Kernel] = {}
        """The servers that run, by process name (`world-1`), in the order of their start."""
        self._clocks: dict[str, VirtualClock] = {}
        self._epochs: dict[str, int] = {}
        self._clients: list[FakeClient] = []

    # ------------------------------------------------------------------------------------------------ servers

    def start(self, *names: str, wait: bool = True) -> None:
        """Start processes, or servers with all their replicas, in the order given; without names, the file's order.

        With `wait` it returns once those that run and belong together have found each other.
        """
        for name in names or self.declared.servers:
            for process in self._processes(name):
                if process not in self.kernels:
                    self._start(process)
        if wait:
            self.wait_connected()

    def stop(self, *names: str) -> None:
        """Stop processes or servers in an orderly way, last started first; without names, all."""
        chosen = [process for name in names for process in self._processes(name)] if names else list(self.kernels)
        for process in [process for process in reversed(self.kernels) if process in chosen]:
            self.kernels.pop(process).stop()

    def drain(self, name: str, timeout: float | None = None) -> bool:
        """Let one process finish what it has and take nothing new; False: its deadline cut it."""
        return self.kernel(name).drain(timeout)

    def crash(self, name: str) -> None:
        """Let one process die as by `kill -9`: to its peers its sockets close, and it says nothing more to anybody.

        Its memory is dropped without `@on_stop`. What storage services do with files on the way cannot be undone here:
        for losses on disk kill a real process. Needs a network in memory.
        """
        if self.network is None:
            raise RuntimeError("only a network in memory can let a server crash; on real sockets use real processes")
        process = self._processes(name)[0]
        kernel = self.kernels.pop(process)
        self.network.crash(process)
        kernel.handlers.on.pop("stop", None)
        kernel.stop()

    def restart(self, name: str, *, wait: bool = True) -> Kernel:
        """Start a process again, with the next epoch; one that runs is stopped first."""
        process = self._processes(name)[0]
        if process in self.kernels:
            self.stop(process)
        self._start(process)
        if wait:
            self.wait_connected()
        return self.kernels[process]

    def kernel(self, name: str) -> Kernel:
        """Give the kernel of a running process; a server's bare name means its first."""
        return self.kernels[self._processes(name)[0]]

    def clock(self, name: str) -> VirtualClock:
        """Give the clock of one process, to set it wrong; it outlives restarts. Needs virtual time."""
        return self._clock(self._processes(name)[0])

    def call(self, remote: str, *arguments: Any, by: str | None = None, timeout: float | None = None) -> Any:
        """Call a remote as a server would: `by` says which, the first one by default."""
        kernel = self.kernel(by) if by is not None else next(iter(self.kernels.values()))
        return kernel.mesh.call(remote, arguments, timeout=timeout)

    # ------------------------------------------------------------------------------------------------ clients

    def connect(
        self,
        server: str | None = None,
        *,
        protocol: str | None = None,
        scheme: str | None = None,
        wire: ClientWire | None = None,
        host: str | None = None,
        address: str = "127.0.0.1",
        **options: Any,
    ) -> FakeClient:
        """Connect a fake client to the first listener that speaks `protocol` and has `scheme`, of any server or of one.

        `wire` is needed for formats that are not Firefly's. `host` names the client in the network, for faults;
        `address` is where it seems to come from. `options` are FakeClient's.
        """
        listen = self._declaration.find_listener(server, protocol, scheme)
        url = f"{listen.url.scheme}://{listen.url.host}:{listen.url.port}{listen.url.path}"
        network: Network = SocketNetwork()
        if self.network is not None:
            network = self.network.host(host or f"client-{len(self._clients) + 1}", address=address)
        client = FakeClient(network, url, wire or wire_of(listen), **options)
        self._clients.append(client)
        return client

    # ------------------------------------------------------------------------------------------------ waiting

    def wait_connected(self, timeout: float = 10.0) -> None:
        """Wait until every running server has found the running servers it belongs with; raises DeadlineExceeded."""
        self.wait(lambda: not self.missing(), lambda: f"not connected: {', '.join(self.missing())}", timeout=timeout)

    def missing(self) -> list[str]:
        """Give the links between running servers that do not stand, as `world-1 -> gate-1`."""
        return [f"{node} -> {root}" for node, root in self._links() if not self._stands(node, root)]

    def wait(
        self, condition: Callable[[], Any], what: str | Callable[[], str] = "the condition", *, timeout: float = 10.0
    ) -> None:
        """Wait until `condition()` holds, looking every 10 ms; raises DeadlineExceeded saying `what` did not come."""
        timer = gevent.Timeout(timeout)
        try:
            with timer:
                while not condition():
                    gevent.sleep(0.01)
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
            said = what if isinstance(what, str) else what()
            raise DeadlineExceeded(f"{said}, after {timeout:g} s") from None

    # -------------------------------------------------------------------------------------------------- the end

    def close(self) -> None:
        """Close the clients, stop every server, and remove the temporary folder."""
        try:
            for client in self._clients:
                client.close()
            self.stop()
        finally:
            self._declaration.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # -------------------------------------------------------------------------------------------------- details

    def _processes(self, name: str) -> Sequence[str]:
        if name in self.declared.servers:
            return self.declared.servers[name].process_names()
        self.declared.find_process(name)
        return [name]

    def _start(self, process: str) -> None:
        server, replica = self.declared.find_process(process)
        epoch = self._epochs[process] = self._epochs.get(process, 0) + 1
        kernel = Kernel(
            self.declared,
            server.name,
            replica,
            network=self.network.host(process) if self.network is not None else None,
            clock=self._clock(process) if isinstance(get_hub().loop, VirtualLoop) else None,
            random=random.Random(f"{self.seed} {process} {epoch}"),  # noqa: S311  repeatable, not secret
            secret=self._secret,
            epoch=epoch,
            descriptors=self._declaration.descriptors(server.name),
            handlers=self._declaration.handlers(server.name),
        )
        kernel.start()
        self.kernels[process] = kernel

    def _clock(self, process: str) -> VirtualClock:
        loop = get_hub().loop
        if not isinstance(loop, VirtualLoop):
            raise RuntimeError("clocks can be set in virtual time only")
        if process not in self._clocks:
            # As between machines: nobody's monotonic clock means anything to anybody else.
            start = random.Random(f"{self.seed} clock of {process}").uniform(1_000, 1_000_000)  # noqa: S311
            self._clocks[process] = VirtualClock(loop, start=start)
        return self._clocks[process]

    def _links(self) -> Iterator[tuple[str, str]]:
        for process, kernel in self.kernels.items():
            for config in kernel.declaration.services.values():
                owner = getattr(config, "owner", None)
                for root in (*getattr(config, "roots", ()), *([owner] if owner else ())):
                    yield from ((process, other) for other in self._processes(root) if other in self.kernels)

    def _stands(self, one: str, other: str) -> bool:
        ends = self.kernels[one].mesh.peers.get(other), self.kernels[other].mesh.peers.get(one)
        return all(peer is not None and peer.connected and peer.announced for peer in ends)
