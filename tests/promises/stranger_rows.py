"""Row A29: whoever has not proved who he is can do nothing at a root, whatever he sends."""

from __future__ import annotations

import struct
from collections import Counter
from random import Random
from typing import Any

import gevent
import msgpack

from firefly_core import on_start, remote
from firefly_core.testing import InProcessCluster, virtual_time
from firefly_core.wire.hello import Initiator, PeerIdentity
from tests.promises.ledger import Outcome, Row, slice_of

__all__ = ["ROWS"]

TOML = """
[firefly]
plugins = ["root", "node"]
[servers.hub.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["hub"]
"""
IDENTITY = PeerIdentity("world-1", "world", ("node",), 7, 1)
BATCH = 40
"""Frames of one connection at most; most end it sooner."""
LARGEST = 4096


def frames(chance: Random) -> list[Any]:
    """Give messages that a stranger might try: calls, hellos of all kinds, garbage."""
    hello = Initiator(IDENTITY, [b"a secret that nobody here has...."], chance.randbytes(32), None)
    name, server, roles, boot, epoch = hello.opening()[2]
    cards = [
        [name, server, roles, boot, epoch],
        ["", server, roles, boot, epoch],
        ["../x", "..", roles, boot, epoch],
        ["a\r\nb", server, roles, boot, epoch],
        ["hub-1", "hub", ["root"], boot, epoch],
        ["x" * 300, server, roles, boot, epoch],
        [name, server, roles, -1, 2**63],
        [name, server, [roles] * 50, boot, epoch],
    ]
    methods = ["work", "firefly.command", "firefly.announce", "firefly.session", "__init__", "os.system", "x" * 300]
    return [
        [0, chance.getrandbits(32), chance.choice(methods), [1] * chance.randrange(4)],
        [0, chance.getrandbits(32), "work", [1], {"deadline": 5000}],
        [2, chance.choice(methods), [1]],
        [1, chance.getrandbits(32), None, "an answer to nobody"],
        [0, 0, "firefly.hello", [1, chance.randbytes(32), chance.choice(cards)]],
        [0, 0, "firefly.hello", [chance.choice([0, 2, -1, "1"]), chance.randbytes(32), cards[0]]],
        [0, 1, "firefly.hello", [chance.randbytes(chance.choice([0, 31, 32, 33, 4000]))]],
        [2, "firefly.cancel", [chance.getrandbits(32)]],
        [0, 2, "firefly.ping", []],
        [0, 2, "work", {"not": "an array"}],
        chance.getrandbits(70) if chance.random() < 0.5 else "text",
        [[[[[[[[[[]]]]]]]]]],
    ]


def garbage(chance: Random) -> bytes:
    """Give one frame: a message, a message that is damaged, or bytes that are none."""
    kind = chance.randrange(10)
    if kind < 6:
        try:
            return bytes(msgpack.packb(chance.choice(frames(chance))))
        except OverflowError:
            return b"\xcf" + b"\xff" * 8
    if kind < 8:
        data = bytearray(msgpack.packb(chance.choice(frames(chance)[:-2])))
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data)
    return chance.choice(
        [
            chance.randbytes(chance.randrange(1, 200)),
            b"\xdd\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff",
            b"\xc6\x7f\xff\xff\xff" + bytes(5000),
            b"\xdb" + struct.pack("!I", 4000) + bytes(3000),
            b"\x91" * 1100 + b"\xc0",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
            b"\x80\x04\x95\x0a\x00\x00\x00cos\nsystem\n",
            b"\x5b\xff\xff\xff\x7f",
            bytes(20_000),
        ]
    )


class Stranger:
    """One connection."""

    def __init__(self, cluster: InProcessCluster) -> None:
        assert cluster.network is not None
        self.closed = False
        self.said = b""
        self.transport = cluster.network.host("stranger").dial("127.0.0.1", 10000, timeout=1)
        self.transport.start(self._on_readable)

    def _on_readable(self) -> None:
        try:
            data = self.transport.recv(65536)
        except OSError:
            data = b""
        self.said += data
        if not data:
            self.closed = True
            self.transport.close()

    def send(self, data: bytes) -> None:
        """Send, unless it is over."""
        if not self.closed:
            try:
                self.transport.send(data)
            except OSError:
                self.closed = True


def a29_strangers(count: int) -> Outcome:
    """`count` frames of strangers at a root, between them connections that say nothing; a node goes on meanwhile."""
    started: list[Any] = []

    @on_start
    def start(ctx: Any) -> None: ...

    @remote("work")
    def work(ctx: Any, one: int = 0, two: int = 0, three: int = 0) -> str:
        started.append(one)
        return "done"

    chance = Random(slice_of("A29"))
    sent = buffered = connections = 0
    with (
        virtual_time(seed=1, limit=count * 10.0 + 1_000),
        InProcessCluster(TOML, handlers={"hub": [start, work], "world": [start]}) as made,
    ):
        made.start()
        root = made.kernel("hub").services["root"]
        known = set(root._channels)
        while sent < count:
            stranger = Stranger(made)
            connections += 1
            for _ in range(BATCH):
                stranger.send(garbage(chance))
                sent += 1
                if chance.random() < 0.7:
                    gevent.sleep(0.0001)
                # What is not a whole message is what is kept.
                buffered = max([buffered, *(each._inbound._decoder.partial for each in root._channels - known)])
                if stranger.closed or sent >= count:
                    break
            stranger.transport.close()
            gevent.sleep(0.001)
        gevent.sleep(20)
        before = len(started)
        alive = made.kernel("world").mesh.call("work", ()) == "done"
        reasons = Counter({name: int(value) for name, value in made.kernel("hub").links.closed.items()})
        left = len(root._channels - known)
    common = ", ".join(f"{number:,} {reason}" for reason, number in reasons.most_common(4))
    figure = (
        f"{before} handlers started by {sent:,} frames of {connections:,} connections; at most {buffered:,} bytes "
        f"kept, {left} channels left; they ended by {len(reasons)} reasons ({common}, ...)"
    )
    return Outcome(sent, figure, before == 0 and alive and buffered <= LARGEST and left == 0)


ROWS = [Row("A29", "who has not proved who he is can do nothing", a29_strangers, 3_000, 1_000_000)]
