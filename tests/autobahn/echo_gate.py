"""A gate that sends every WebSocket message back as it came, text as text: what Autobahn's client talks to.

Only the protocol is made for this; Stream, DeflateLayer, Connection and ClientSession are those of every gate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
from firefly_gate.deflate_layer import DeflateLayer
from firefly_gate.door import Door

from firefly_core import command
from firefly_core.testing import InProcessCluster
from firefly_core.wire.protocol import Protocol, Request

__all__ = ["EchoLayer", "echo_gate"]

TEXT, CONTROL = 1, 8
LENGTHS = {126: 2, 127: 8}
END = b"\r\n\r\n"
LARGEST = 16 * 1024 * 1024
TOML = """
[firefly]
plugins = ["gate", "protocols"]
[servers.gate.gate]
listen = {{ url = "ws://127.0.0.1:{port}/", protocol = "datapack", codec = "raw", origins = ["*"] }}
rate = "off"
max_frame = {largest}
login_frame = {largest}
parking = {largest}
login_timeout = 3600.0
frame_timeout = 600.0
send_timeout = 60.0
queue = {queue}
"""


class Kinds:
    """Follows the frames of one connection and notes of each message whether it is text."""

    def __init__(self) -> None:
        self.found: deque[bool] = deque()
        self._rest = b""
        self._shaking = True
        self._skip = 0

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._rest += data
        if self._shaking:
            end = self._rest.find(END)
            if end < 0:
                return
            self._rest = self._rest[end + len(END) :]
            self._shaking = False
        while self._step():
            pass

    def _step(self) -> bool:
        rest = self._rest
        if self._skip:
            taken = min(self._skip, len(rest))
            self._skip -= taken
            self._rest = rest[taken:]
            return taken > 0
        if len(rest) < 2:
            return False
        length = rest[1] & 0x7F
        head = 2 + LENGTHS.get(length, 0)
        if len(rest) < head:
            return False
        if head > 2:
            length = int.from_bytes(rest[2:head], "big")
        if 0 < rest[0] & 0x0F < CONTROL:
            self.found.append(rest[0] & 0x0F == TEXT)
        self._skip = length + 4 * (rest[1] >> 7)
        self._rest = rest[head:]
        return True


class EchoLayer(DeflateLayer):
    """The gate's own layer, compression and all, which tells the protocol of each message what kind it is."""

    __slots__ = ("kinds",)

    def __init__(self, *about: Any, **options: Any) -> None:
        super().__init__(*about, **options)
        self.kinds = Kinds()

    def carry(self, protocol: Protocol, data: bytes) -> list[Request]:
        """Note the kinds, then do what the gate's layer does."""
        self.kinds.feed(data)
        protocol.kinds = self.kinds.found  # type: ignore[attr-defined]
        return super().carry(protocol, data)


@attrs.frozen
class NoKeys:
    """The protocol has none."""


class Echo(Protocol):
    """Each message is a command whose answer is the message."""

    name = "echo"
    default_codec = "raw"
    answers_always = True
    Config = NoKeys

    def __init__(self, *about: Any, **options: Any) -> None:
        super().__init__(*about, **options)
        self.kinds: deque[bool] = deque()

    def receive(self, data: bytes) -> list[Request]:
        return [Request(1, data, int(self.kinds.popleft()))]

    def encode_reply(self, request: Request, body: bytes) -> bytes:
        # Asked for right behind this, when the answer is framed.
        self.text = bool(request.request_id)  # type: ignore[misc]
        return body

    def encode_error(self, request: Request, code: str, message: str, body: bytes) -> bytes:
        return body

    def encode_push(self, command: int, name: str, body: bytes) -> bytes:
        return body


@command(1, public=True)
def echo(ctx: Any, body: bytes) -> bytes:
    """Give the message back."""
    return body


@contextmanager
def echo_gate(port: int) -> Iterator[None]:
    """Run such a gate at `port`."""
    toml = TOML.format(port=port, largest=LARGEST, queue=4 * LARGEST)
    with InProcessCluster(toml, handlers={"gate": [echo]}, network="sockets") as cluster:
        cluster.start()
        for door in cluster.kernel("gate").services["gate"].doors:
            _arm(door)
        yield


def _arm(door: Door) -> None:
    door._protocol = Echo
    door._listen = attrs.evolve(door._listen, settings=NoKeys())
    door.layer = lambda: EchoLayer(door._stranger, path="/", origins=("*",))  # type: ignore[method-assign]
