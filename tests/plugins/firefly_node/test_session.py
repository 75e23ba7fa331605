"""A player's session as a node sees it, from its greeting to its goodbye."""

import gevent
import pytest

from firefly_core import command, on_connect, on_disconnect, on_login
from firefly_core.errors import RemoteError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
"""
moments = []
pauses = []


@command(1, public=True)
def login(ctx, uid: int):
    ctx.session.bind(uid)


@command(2, timeout=1.0)
def work(ctx): ...


@command(3)
def note(ctx, value: int):
    ctx.session.data["value"] = value


@command(4)
def noted(ctx):
    return ctx.session.data.get("value")


@on_connect
def connected(ctx):
    gevent.sleep(pauses.pop() if pauses else 0)


@on_login
def arrive(ctx):
    moments.append(f"login {ctx.uid}")


@on_disconnect
def depart(ctx):
    moments.append(f"disconnect {ctx.uid}")


@pytest.fixture
def cluster():
    moments.clear()
    pauses.clear()
    handlers = {"gate": [login], "world": [work, note, noted, connected, arrive, depart]}
    with virtual_time(seed=1), InProcessCluster(TOML, handlers=handlers) as cluster:
        cluster.start()
        yield cluster


def test_who_was_greeted_says_goodbye_as_the_player(cluster):
    pauses.append(3)
    client = cluster.connect()
    client.request("login", 7)
    with pytest.raises(RemoteError, match="timeout"):
        client.request("work")
    gevent.sleep(3)
    client.request("work")
    client.close()
    gevent.sleep(1)
    assert moments == ["login 7", "disconnect 7"]


def test_who_was_never_greeted_says_goodbye_as_nobody(cluster):
    pauses.append(3)
    client = cluster.connect()
    client.request("login", 7)
    with pytest.raises(RemoteError, match="timeout"):
        client.request("work")
    client.close()
    gevent.sleep(5)
    assert moments == ["disconnect None"], "the player may be here by another session"


@pytest.mark.parametrize("seconds", [1, 60])
def test_data_that_a_node_has_set_are_there_after_the_channel_was_lost(cluster, seconds):
    """After ten seconds the node lets the session go, and gets it anew with all that the gate has."""
    client = cluster.connect()
    client.request("login", 7)
    client.request("note", 5)
    cluster.network.cut("gate-1", "world-1", both=True)
    cluster.network.reset("gate-1", "world-1")
    gevent.sleep(seconds)
    cluster.network.heal()
    cluster.wait_connected()
    assert client.request("noted") == 5
    client.request("note", 6)
    assert client.request("noted") == 6
