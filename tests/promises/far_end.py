"""The other end of a channel as a process of its own: it echoes, counts and rests, and can be stopped in its tracks.

with far_end() as end: channel = end.dial(); channel.call("echo", b"x"); end.freeze()
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import gevent

from firefly_core.channel.clock import SystemClock
from firefly_core.channel.deadlines import Deadlines
from firefly_core.channel.dialer import Dialer
from firefly_core.channel.limits import ChannelLimits
from firefly_core.channel.network import SocketNetwork
from firefly_core.channel.rpc import RpcChannel
from firefly_core.channel.runners import Runners
from firefly_core.channel.transport import Transport
from firefly_core.errors import NoSuchMethod
from firefly_core.wire.hello import Acceptor, Initiator, PeerIdentity

__all__ = ["FarEnd", "Floor", "far_end"]

ROOT = Path(__file__).parents[2]
SECRET = b"the secret of these promises...."
WITHOUT_LIMIT = ChannelLimits(send_timeout=300.0, ping_after=250.0, dead_after=300.0)
"""Nobody is given up: what is looked at is what has to be held meanwhile."""


class Floor:
    """What channels stand on, and the methods that they serve."""

    def __init__(self, limits: ChannelLimits = WITHOUT_LIMIT) -> None:
        self.clock = SystemClock()
        self.runners = Runners()
        self.deadlines = Deadlines(gevent.get_hub().loop, self.clock)
        self.network = SocketNetwork()
        self.limits = limits
        self.random = Random()
        self.methods: dict[str, Any] = {}
        self.accepted: list[RpcChannel] = []
        self.reasons: list[str] = []
        """Why channels ended."""

    def serve(self, host: str = "127.0.0.1") -> int:
        """Listen; gives the port."""
        address = self.network.listen(host, 0, self._accept).address
        return int(address.rpartition(":")[2])

    def dial(self, port: int, name: str = "world-1", host: str = "127.0.0.1") -> RpcChannel:
        """Give a channel whose hello is done."""
        identity = PeerIdentity(name, name.rpartition("-")[0], ("node",), self.random.getrandbits(64), 1)
        transport = self.network.dial(host, port, timeout=3)
        channel = self._channel(transport, Initiator(identity, [SECRET], self.random.randbytes(32), None))
        channel.start()
        with gevent.Timeout(5):
            while channel.peer is None:
                gevent.sleep(0.001)
        return channel

    def keep(self, port: int, name: str = "world-1", host: str = "127.0.0.1") -> Dialer:
        """Keep a channel, as a node does; whoever asks for it stops it."""
        identity = PeerIdentity(name, name.rpartition("-")[0], ("node",), self.random.getrandbits(64), 1)

        def make(transport: Transport, *, on_ready: Any, on_lost: Any) -> RpcChannel:
            hello = Initiator(identity, [SECRET], self.random.randbytes(32), None)
            return self._channel(transport, hello, on_ready, on_lost)

        dialer = Dialer(
            host,
            port,
            network=self.network,
            clock=self.clock,
            random=self.random,
            make_channel=make,
            on_connected=lambda _: None,
            on_disconnected=lambda _channel, reason: self.reasons.append(reason),
        )
        dialer.start()
        return dialer

    def close(self) -> None:
        """End it; channels are closed by whoever has them."""
        gevent.sleep(0.01)
        self.deadlines.close()
        self.runners.close()

    def _accept(self, transport: Transport) -> None:
        root = PeerIdentity("gate-1", "gate", ("root",), 11, 1)
        channel = self._channel(transport, Acceptor(root, [SECRET], self.random.randbytes(32), None))
        self.accepted.append(channel)
        channel.start()

    def _channel(self, transport: Transport, hello: Any, on_ready: Any = None, on_lost: Any = None) -> RpcChannel:
        return RpcChannel(
            transport,
            self.runners,
            self.deadlines,
            self._dispatch,
            limits=self.limits,
            on_ready=on_ready,
            on_lost=on_lost or (lambda _channel, reason: self.reasons.append(reason)),
            hello=hello,
        )

    def _dispatch(self, _channel: RpcChannel, method: str, params: list[Any], _meta: Any, _id: int | None) -> Any:
        function = self.methods.get(method)
        if function is None:
            raise NoSuchMethod(method)
        return function(*params)


class FarEnd:
    """The process, seen from here. `inside` is what its command begins with, `host` where it listens."""

    def __init__(self, floor: Floor, *, inside: tuple[str, ...] = (), host: str = "127.0.0.1") -> None:
        self._floor = floor
        self._host = host
        path = os.pathsep.join(part for part in sys.path if part)
        self._process = subprocess.Popen(
            [*inside, sys.executable, "-m", "tests.promises.far_end", host],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def dial(self, name: str = "world-1") -> RpcChannel:
        """Give a channel to it."""
        return self._floor.dial(self.port, name, self._host)

    def freeze(self) -> None:
        """Stop it where it stands."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@contextlib.contextmanager
def far_end(limits: ChannelLimits = WITHOUT_LIMIT) -> Iterator[tuple[Floor, FarEnd]]:
    """Run such a process, and give the floor to stand on here with it."""
    floor = Floor(limits)
    end = FarEnd(floor)
    try:
        yield floor, end
    finally:
        end.stop()
        floor.close()


def _serve() -> None:
    floor = Floor()
    noted: dict[str, int] = {}

    def note(name: str, _padding: bytes) -> None:
        noted[name] = noted.get(name, 0) + 1

    floor.methods = {"echo": lambda value: value, "note": note, "noted": lambda: noted}
    print(floor.serve(sys.argv[1]), flush=True)
    gevent.socket.wait_read(sys.stdin.fileno())


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()
    _serve()
