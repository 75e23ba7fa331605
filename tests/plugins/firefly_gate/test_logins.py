"""One login a player in the whole cluster, whichever gates he comes through, and whatever dies."""

import contextlib

import gevent
import pytest

from firefly_core import command, on_disconnect, push
from firefly_core.errors import RemoteError, Unavailable
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
directory = "hub"

[servers.hub.root]
listen = "tcp://127.0.0.1:10100"
[servers.east.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
rate = "off"
[servers.west.gate]
listen = { url = "tcp://127.0.0.1:11020", protocol = "json" }
rate = "off"
"""
news = push(2001, name="news")
ended = []


@command(1, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    return uid


@command(2)
def echo(ctx, value: int) -> int:
    return value


@on_disconnect
def depart(ctx):
    ended.append(ctx.uid)


@pytest.fixture
def cluster():
    ended.clear()
    handlers = {"east": [login, echo, depart], "west": [login, echo, depart]}
    with virtual_time(seed=1), InProcessCluster(TOML, handlers=handlers) as cluster:
        cluster.start()
        cluster.wait(lambda: len(cluster.kernel("hub").mesh.peers) == 2)
        yield cluster


def players(cluster):
    return [uid for gate in ("east", "west") for uid in cluster.kernel(gate).services["gate"].crowd.players]


def test_a_login_at_another_gate_ends_the_older_session(cluster):
    east, west = cluster.connect("east"), cluster.connect("west")
    east.request("login", 7)
    west.request("login", 7)
    east.wait_closed()
    assert east.goodbye == "logged_in_elsewhere"
    assert west.request("echo", 1) == 1
    assert players(cluster) == [7]


def test_a_login_that_was_displaced_on_its_way_and_fails_leaves_nothing(cluster, monkeypatch):
    east = cluster.kernel("east")
    gate = east.services["gate"]
    client = cluster.connect("east")

    def break_off(sid, uid, _replace):
        east.mesh.session_verbs["displace"](None, sid, uid, 5)
        raise Unavailable("the channel is lost")

    monkeypatch.setattr(gate.logins, "_login", break_off)
    with pytest.raises(RemoteError, match="the channel is lost"):
        client.request("login", 7)
    assert gate.logins._displaced == {}
    monkeypatch.undo()
    assert client.request("login", 7) == 7


def test_of_many_logins_at_once_exactly_one_stays(cluster):
    for uid in range(100):
        both = [cluster.connect("east"), cluster.connect("west")]
        for client in both:
            client.notify("login", uid)
        gevent.sleep(0.05)
        # Who lost was closed, or had his login refused if it was still on its way.
        assert players(cluster).count(uid) == 1
        for client in both:
            client.close()
        gevent.sleep(0.01)


def test_while_the_directory_is_away_nobody_new_logs_in_and_players_play_on(cluster):
    east, west = cluster.connect("east"), cluster.connect("west")
    east.request("login", 7)
    cluster.crash("hub")
    gevent.sleep(0.1)
    with pytest.raises(RemoteError) as caught:
        west.request("login", 8)
    assert caught.value.code == "unavailable"
    assert east.request("echo", 1) == 1


def test_a_directory_that_comes_back_hears_who_is_there(cluster):
    east = cluster.connect("east")
    east.request("login", 7)
    cluster.crash("hub")
    cluster.restart("hub")
    hub = cluster.kernel("hub")
    cluster.wait(lambda: len(hub.directory) == 1 and len(hub.mesh.peers) == 2)
    west = cluster.connect("west")
    west.request("login", 7)
    east.wait_closed()
    assert players(cluster) == [7]


def test_a_player_who_left_may_come_through_the_other_gate(cluster):
    east = cluster.connect("east")
    east.request("login", 7)
    east.close()
    gevent.sleep(0.1)
    assert len(cluster.kernel("hub").directory) == 0
    west = cluster.connect("west")
    assert west.request("login", 7) == 7
    assert ended == [7]


@contextlib.contextmanager
def without_directory(cluster):
    """Let a gate lose the directory, which goes on living."""
    hub = cluster.kernel("hub")
    cluster.network.cut("east-1", "hub-1", both=True)
    cluster.network.reset("east-1", "hub-1")
    cluster.wait(lambda: not hub.mesh.peers["east-1"].connected)
    yield
    cluster.network.heal()
    cluster.wait(lambda: hub.mesh.peers["east-1"].connected, timeout=30)
    gevent.sleep(0.1)


def test_who_left_while_the_directory_was_out_of_reach_is_there_no_more(cluster):
    stays, leaves = cluster.connect("east"), cluster.connect("east")
    for uid, client in ((7, stays), (8, leaves)):
        client.request("login", uid)
        client.request("firefly.token")
    elsewhere = cluster.connect("west")
    elsewhere.request("login", 9)
    hub = cluster.kernel("hub").directory
    assert (len(hub), len(hub.refuge)) == (3, 2)
    with without_directory(cluster):
        leaves.write(b'{"cmd": "goodbye"}\n')
        leaves.wait_closed()
    assert (len(hub), len(hub.refuge)) == (2, 1)
    assert [hub.locate(uid) for uid in (7, 8, 9)] == ["east-1", None, "west-1"]
    assert stays.request("echo", 1) == 1


def test_who_logged_in_elsewhere_meanwhile_stays_there(cluster):
    east, west = cluster.connect("east"), cluster.connect("west")
    east.request("login", 7)
    with without_directory(cluster):
        west.request("login", 7)
    east.wait_closed()
    assert east.goodbye == "logged_in_elsewhere"
    assert cluster.kernel("hub").directory.locate(7) == "west-1"
    assert west.request("echo", 1) == 1


def test_a_thousand_sessions_are_told_to_a_directory_that_comes_back(cluster):
    count = 1100
    for uid in range(count):
        client = cluster.connect("east")
        client.request("login", uid)
        client.request("firefly.token")
    hub = cluster.kernel("hub").directory
    with without_directory(cluster):
        pass
    assert (len(hub), len(hub.refuge)) == (count, count)
    assert len(players(cluster)) == count
