"""The plugin's own tests, with the test kit: run them with `pytest -p firefly_core.testing`."""

import json
from urllib.parse import quote

import pytest
from firefly_lighthouse.harbour import Dock, dock, docked
from firefly_lighthouse.lines import Lines
from firefly_protocols.json_codec import JsonCodec

from firefly_core import Refuse
from firefly_core.testing import ProtocolContract, ServiceContract
from firefly_core.testing.client_wire import Answer, PushReceived

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols", "lighthouse"]
[servers.coast.gate]
listen = { url = "tcp://127.0.0.1:4000", protocol = "lines" }
[servers.coast.root]
listen = "tcp://127.0.0.1:4001"
[servers.coast.lighthouse]
listen = "tcp://127.0.0.1:4002"
[servers.town]
handlers = ["harbour"]
[servers.town.node]
roots = ["coast"]
"""


class LinesWire:
    """The client's side of the format."""

    text = True

    def __init__(self):
        self.tail = b""

    def encode(self, number, command, body):
        return f"{number} {quote(str(command), safe='')} {json.dumps(body)}\n".encode()

    def receive(self, data):
        *lines, self.tail = (self.tail + data).split(b"\n")
        return [self.read(line.decode()) for line in lines]

    def read(self, line):
        first, second, rest = line.split(" ", 2)
        if first == "!":
            name, _, body = rest.partition(" ")
            return PushReceived(int(second), json.loads(body), name)
        if second == "ok":
            return Answer(int(first), json.loads(rest))
        code, _, message = rest.partition(" ")
        return Answer(int(first), None, code, message)


class TestLines(ProtocolContract):
    protocol = Lines
    codec = JsonCodec()
    has_notifies = False
    garbage = (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",)

    def client(self, *, stream):
        return LinesWire()


class TestLighthouse(ServiceContract):
    service = "lighthouse"
    declaration = TOML

    def use(self, cluster):
        ship = cluster.network.host("ship").dial("127.0.0.1", 4002, timeout=1)
        heard = []
        ship.start(lambda: heard.append(ship.recv(100)) or (ship.close() if not heard[-1] else None))
        cluster.wait(lambda: heard and heard[-1] == b"", "the lighthouse to hang up")
        assert heard[0].startswith(b"the light is on")


def test_a_berth_is_taken_once(firefly_context):
    ctx = firefly_context(uid="ann", state={})
    assert dock(ctx, Dock(5)) == 5
    assert ctx.pushed(docked) == [["ann", 5]]
    with pytest.raises(Refuse, match="taken"):
        dock(ctx, Dock(5))


def test_two_ships_meet(virtual_time, firefly_cluster):
    cluster = firefly_cluster(TOML)
    ann, bob = (cluster.connect(wire=LinesWire()) for _ in range(2))
    assert ann.request("login", "ann") == "welcome to the port of town-1, ann"
    bob.request("login", "bob")
    ann.request("dock", {"berth": 3})
    assert bob.wait_push("docked") == ["ann", 3]
