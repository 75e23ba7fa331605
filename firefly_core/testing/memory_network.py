"""A network in memory: named hosts, links with a delay, a bandwidth and faults, and random numbers from a seed.

    network = MemoryNetwork(seed=3)
    Kernel(cluster, "gate", network=network.host("gate-1"))
    network.set_conditions("gate-1", "world-1", Conditions(delay=0.1, jitter=0.2))
    network.cut("gate-1", "world-1")            # one way; heal() mends it

Every host has the same addresses, as the processes of one machine have; who listens owns the port.
"""

from __future__ import annotations

import random

from gevent import get_hub

from firefly_core.channel.clock import Clock, SystemClock
from firefly_core.channel.transport import Transport
from firefly_core.testing.clock import VirtualClock
from firefly_core.testing.memory_host import MemoryHost
from firefly_core.testing.memory_listener import MemoryListener
from firefly_core.testing.memory_pipe import PERFECT, Conditions, Pipe
from firefly_core.testing.memory_transport import MemoryTransport
from firefly_core.testing.virtual_loop import VirtualLoop

__all__ = ["ANY", "MemoryNetwork"]

ANY = "*"
"""Stands for every host where a link is named."""
FIRST_PORT = 40_000
EADDRINUSE = 98


class _Connection:
    """Both pipes and both ends of one connection."""

    __slots__ = ("ends", "pipes")

    def __init__(self, pipes: tuple[Pipe, Pipe], ends: tuple[MemoryTransport, MemoryTransport]) -> None:
        self.pipes = pipes
        self.ends = ends

    @property
    def whole(self) -> bool:
        """Whether nobody has reset it yet."""
        return all(pipe.error is None for pipe in self.pipes)

    def joins(self, first: str, second: str) -> bool:
        """Whether it is between these two hosts, whoever dialled."""
        pipe = self.pipes[0]
        return _fits((pipe.source, pipe.target), first, second) or _fits((pipe.target, pipe.source), first, second)


class MemoryNetwork:
    """All hosts, links and connections of one test. `trace`, once set to a list, records what arrives where."""

    def __init__(self, seed: int = 1, *, conditions: Conditions = PERFECT) -> None:
        self.random = random.Random(seed)  # noqa: S311  repeatable, not secret
        loop = get_hub().loop
        self.clock: Clock = VirtualClock(loop) if isinstance(loop, VirtualLoop) else SystemClock()
        self.trace: list[tuple[float, str, str, str, int]] | None = None
        self._default = conditions
        self._links: dict[tuple[str, str], Conditions] = {}
        self._cuts: set[tuple[str, str]] = set()
        self._hosts: dict[str, list[MemoryHost]] = {}
        self._listeners: dict[int, list[MemoryListener]] = {}
        self._connections: dict[int, _Connection] = {}
        self._counter = 0
        self._next_port = FIRST_PORT

    def host(self, name: str, *, address: str = "127.0.0.1") -> MemoryHost:
        """Give the network as one host sees it; `address` is what its peers see it come from."""
        host = MemoryHost(self, name, address)
        self._hosts.setdefault(name, []).append(host)
        return host

    @property
    def connections(self) -> list[tuple[str, str]]:
        """The open connections, oldest first, as (who dialled, who was dialled)."""
        return [(item.pipes[0].source, item.pipes[0].target) for item in self._connections.values()]

    # ----------------------------------------------------------------------------------------------------- links

    def set_conditions(self, source: str, target: str, conditions: Conditions, *, both: bool = True) -> None:
        """Change what the link between two hosts does from now on; `both=False`: from `source` to `target` only."""
        self._links[source, target] = conditions
        if both:
            self._links[target, source] = conditions

    def conditions_of(self, source: str, target: str) -> Conditions:
        """Give what the link does one way."""
        links = self._links
        if links:
            for key in ((source, target), (source, ANY), (ANY, target)):
                if key in links:
                    return links[key]
        return self._default

    def cut(self, source: str, target: str, *, both: bool = False) -> None:
        """Let nothing pass from `source` to `target` until `heal`; what is sent is held up, not lost."""
        self._cuts.add((source, target))
        if both:
            self._cuts.add((target, source))

    def heal(self, source: str = ANY, target: str = ANY) -> None:
        """Mend the cuts between two hosts, both ways; without arguments, all cuts."""
        self._cuts = {cut for cut in self._cuts if not (_fits(cut, source, target) or _fits(cut, target, source))}
        for connection in list(self._connections.values()):
            for pipe in connection.pipes:
                pipe.try_again()

    def is_cut(self, source: str, target: str) -> bool:
        """Whether nothing passes from `source` to `target`."""
        cuts = self._cuts
        return bool(cuts) and any(cut in cuts for cut in ((source, target), (source, ANY), (ANY, target), (ANY, ANY)))

    def reset(self, first: str = ANY, second: str = ANY) -> int:
        """Break every connection between two hosts, both ends at once; gives how many."""
        broken = [item for item in self._connections.values() if item.whole and item.joins(first, second)]
        for connection in broken:
            for pipe in connection.pipes:
                pipe.break_off(ConnectionResetError(104, "connection reset by peer"))
        return len(broken)

    def crash(self, name: str) -> None:
        """Let a host's process die: its sockets are closed by its kernel, and it can do nothing more.

        A later `host(name)` is the next process of that name.
        """
        for host in self._hosts.pop(name, ()):
            host.down = True
        for listeners in list(self._listeners.values()):
            for listener in [listener for listener in listeners if listener.owner == name]:
                listener.close()
        for connection in list(self._connections.values()):
            for end, pipe in zip(connection.ends, connection.pipes, strict=True):
                if pipe.source == name:
                    end.close()

    # ------------------------------------------------------------------------------------------- for the hosts

    def note(self, what: str, pipe: Pipe, piece: bytes | str) -> None:
        """Record an event, if somebody wants to know."""
        if self.trace is not None:
            self.trace.append((self.clock.monotonic(), what, pipe.source, pipe.target, len(piece)))

    def register(self, listener: MemoryListener) -> None:
        """Take a port. Raises OSError when somebody has it who does not share it."""
        if listener.port == 0:
            listener.port = self.take_port()
        others = self._listeners.setdefault(listener.port, [])
        for other in others:
            together = listener.shared and other.shared and listener.owner != other.owner
            if listener.overlaps(other) and not together:
                raise OSError(EADDRINUSE, f"address in use: {listener.host}:{listener.port} by {other.owner}")
        others.append(listener)

    def unregister(self, listener: MemoryListener) -> None:
        """Give the port back."""
        self._listeners[listener.port].remove(listener)

    def find(self, host: str, port: int) -> MemoryListener | None:
        """Give who listens there; one at random where several share the port."""
        found = [one for one in self._listeners.get(port, ()) if one.host == host or one.everywhere]
        return self.random.choice(found) if found else None

    def take_port(self) -> int:
        """Give a port that nobody has had."""
        self._next_port += 1
        return self._next_port

    def connect(self, source: MemoryHost, listener: MemoryListener) -> Transport:
        """Join two hosts, put one end in the listener's backlog and give the other."""
        loop = get_hub().loop
        out = Pipe(self, loop, source.name, listener.owner)
        back = Pipe(self, loop, listener.owner, source.name)
        self._counter += 1
        number = self._counter

        def forget() -> None:
            if client.closed and server.closed:
                self._connections.pop(number, None)

        client = MemoryTransport(loop, listener.address, back, out, forget)
        server = MemoryTransport(loop, f"{source.address}:{self.take_port()}", out, back, forget)
        self._connections[number] = _Connection((out, back), (client, server))
        listener.take(server)
        return client


def _fits(link: tuple[str, str], source: str, target: str) -> bool:
    return (source in (ANY, link[0])) and (target in (ANY, link[1]))
