"""Codecs are a plugin too: bodies of Protocol Buffers, by a package that Firefly does not know."""

import sys
from pathlib import Path
from typing import Annotated

import attrs
import msgspec
import pytest

from firefly_core import command, push
from firefly_core.errors import PayloadError
from firefly_core.testing import DatapackWire, InProcessCluster, virtual_time

SOURCE = Path(__file__).parent / "assets" / "protobuf_plugin" / "firefly_protobuf"
TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols", "protobuf"]
[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:11009", protocol = "datapack", codec = "protobuf", error_command = 999 },
  { url = "tcp://127.0.0.1:11010", protocol = "json" },
]
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
"""


@attrs.frozen
class Catch:
    firefly: Annotated[int, msgspec.Meta(ge=0)]
    net: str = "plain"
    path: list[float] = attrs.Factory(list)


@attrs.frozen
class Caught:
    player: int
    points: float
    again: Catch | None = None


caught = push(2001, Caught, name="caught")


@command(101, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    ctx.group("meadow").join(ctx.session)
    return uid


@command(103)
def catch(ctx, request: Catch) -> Caught:
    result = Caught(ctx.uid, request.firefly / 2, request)
    ctx.group("meadow").push(caught, result)
    return result


@pytest.fixture
def installed(distribution):
    modules = {
        f"firefly_protobuf.{file.stem}" if file.stem != "__init__" else "firefly_protobuf.__init__": file.read_text()
        for file in SOURCE.glob("*.py")
    }
    distribution("firefly-protobuf", modules, plugins={"protobuf": "firefly_protobuf"})
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "firefly_protobuf"]:
        del sys.modules[name]


@pytest.fixture
def codec(installed):
    from firefly_protobuf.codec import ProtobufCodec

    return ProtobufCodec()


@pytest.fixture(params=["gate", "world"])
def cluster(request, installed):
    """Handlers on the gate itself, or on a node behind it."""
    with virtual_time(seed=1), InProcessCluster(TOML, handlers={request.param: [login, catch]}) as cluster:
        cluster.start()
        yield cluster


def test_the_same_handlers_serve_protobuf_and_json_at_once(cluster):
    from google.protobuf.json_format import MessageToDict, ParseDict
    from google.protobuf.struct_pb2 import Value

    def packed(value):
        return ParseDict(value, Value()).SerializeToString()

    def unpacked(body):
        return MessageToDict(Value.FromString(body))

    ann = cluster.connect(protocol="datapack", wire=DatapackWire(codec="raw", error_command=999))
    bob = cluster.connect(protocol="json")
    assert unpacked(ann.request(101, packed(7))) == 7
    assert bob.request("login", 8) == 8
    told = {"player": 7, "points": 2.5, "again": {"firefly": 5, "net": "plain", "path": [1, 0.5]}}
    assert unpacked(ann.request(103, packed({"firefly": 5, "path": [1, 0.5]}))) == told
    assert bob.wait_push("caught") == told
    bob.request("catch", {"firefly": 1, "net": "fine"})
    ann.wait(lambda: len(ann.pushes) == 2)
    assert [unpacked(pushed.body)["player"] for pushed in ann.pushes] == [7, 8]
    refused = unpacked(ann.request(103, packed({"firefly": -1})))
    assert refused["error"]["code"] == "bad_request"
    assert "$.firefly" in refused["error"]["message"]
    assert unpacked(ann.request(103, b"\xff\xff"))["error"]["code"] == "bad_request"


@pytest.mark.parametrize("value", [None, True, 0, -1, 2**53, 0.5, "", "ü", [], {}, [[1], {"a": [None]}], {"": {"": 0}}])
def test_what_goes_in_comes_out(codec, value):
    assert codec.decoder(object)(codec.encode(value)) == value
    assert codec.decoder(object)(b"") is None


def test_declared_types_and_bytes(codec):
    catch = Catch(3, "fine", [0.5])
    assert codec.decoder(Catch)(codec.encode(catch)) == catch
    assert codec.decoder(float)(codec.encode(3)) == 3.0
    assert codec.decoder(bytes)(b"\x01") == codec.encode(b"\x01") == b"\x01"


@pytest.mark.parametrize("value", [2**53 + 1, float("nan"), float("inf")])
def test_a_number_that_would_become_another_one_is_refused(codec, value):
    with pytest.raises(TypeError, match="no form"):
        codec.encode(value)


def test_bodies_that_are_too_large_too_deep_or_none_are_refused(codec):
    from google.protobuf.struct_pb2 import Value

    decode = codec.decoder(object)
    deep = Value()
    inner = deep
    for _ in range(40):
        inner = inner.list_value.values.add()
    many = codec.encode([0] * 1025)
    for body in (deep.SerializeToString(), many, b"\x0a", b"\x1a\x02\xff\xfe"):
        with pytest.raises(PayloadError):
            decode(body)
