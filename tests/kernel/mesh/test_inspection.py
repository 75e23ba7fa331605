"""Questions to servers: here, over a channel, and one relay further; nobody without a hello asks anything."""

import pytest

from firefly_core import command
from firefly_core.channel.limits import ChannelLimits
from firefly_core.channel.network import SocketNetwork
from firefly_core.channel.rpc import RpcChannel
from firefly_core.errors import Disconnected, NoSuchMethod, NotAuthorized
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11009", protocol = "json" }
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
open = true
[servers.world.node]
roots = ["gate"]
[servers.other.node]
roots = ["gate"]
"""


@command(1)
def nothing(ctx):
    return None


@pytest.fixture
def cluster():
    with virtual_time(seed=1), InProcessCluster(TOML, handlers={"world": [nothing]}) as made:
        made.start()
        yield made


def test_a_server_tells_who_it_is(cluster):
    about = cluster.kernel("gate").inspection.ask("gate-1", "about")
    assert about["name"] == "gate-1"
    assert about["server"] == "gate"
    assert about["epoch"] == 1
    assert about["boot"] == f"{cluster.kernel('gate').boot_id:016x}"
    assert about["services"] == ["gate", "root"]
    assert about["roles"] == ["gate", "root"]
    assert {(listen["url"], listen["protocol"]) for listen in about["listens"]} == {
        ("tcp://127.0.0.1:11009", "json"),
        ("tcp://127.0.0.1:10000", None),
    }


def test_a_connected_server_answers_over_its_channel(cluster):
    assert cluster.kernel("gate").inspection.ask("world-1", "about")["name"] == "world-1"


def test_a_server_behind_a_peer_is_reached_through_it(cluster):
    ask = cluster.kernel("other").inspection.ask
    assert ask("world-1", "about", via="gate-1")["name"] == "world-1"
    with pytest.raises(Disconnected):
        ask("world-1", "about")
    with pytest.raises(Disconnected):
        ask("elsewhere-1", "about", via="gate-1")


def test_a_verb_is_added_by_whoever_knows_the_answer_and_takes_parameters(cluster):
    cluster.kernel("world").inspection.verbs["sum"] = lambda *numbers: sum(numbers)
    assert cluster.kernel("other").inspection.ask("world-1", "sum", 1, 2, 3, via="gate-1") == 6
    with pytest.raises(NoSuchMethod):
        cluster.kernel("other").inspection.ask("gate-1", "sum", 1)


def test_peers_and_statistics_tell_every_part(cluster):
    ask = cluster.kernel("gate").inspection.ask
    peers = {peer["name"]: peer for peer in ask("gate-1", "peers")}
    assert set(peers) == {"world-1", "other-1"}
    assert peers["world-1"]["connected"]
    assert peers["world-1"]["figures"]["requests_total"] >= 0
    figures = ask("world-1", "statistics")
    assert set(figures["services"]) == {"node"}
    assert {"runners", "deadlines", "timers", "groups", "hub", "process"} <= set(figures["parts"])
    assert figures["parts"]["process"]["resident_bytes"] > 1e6
    assert all(isinstance(value, int | float) for part in figures["parts"].values() for value in part.values())


def test_who_has_not_said_hello_may_not_ask():
    with InProcessCluster(TOML.replace("11009", "0").replace("10000", "12931"), network="sockets") as made:
        made.start("gate")
        kernel = made.kernel("gate")
        transport = SocketNetwork().dial("127.0.0.1", 12931, timeout=3.0)
        channel = RpcChannel(
            transport,
            kernel.runners,
            kernel.deadlines,
            lambda *_: None,
            limits=ChannelLimits(),
            on_lost=lambda *_: None,
        )
        channel.start()
        with pytest.raises(NotAuthorized):
            channel.call("firefly.inspect", "gate-1", "about", [])
        channel.close()
