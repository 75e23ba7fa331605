"""A gate that drains: nobody new comes in, what was accepted is answered, and everybody is told before he is let go."""

import gevent
import pytest

from firefly_core import command, on_disconnect
from firefly_core.errors import Disconnected
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
drain_timeout = 5.0
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
rate = "off"
connect_rate = "off"
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
"""
moments = []


@command(1, public=True)
def login(ctx, uid: int):
    ctx.session.bind(uid)


@command(2, public=True, timeout=60.0)
def work(ctx, seconds: float) -> float:
    gevent.sleep(seconds)
    return seconds


@command(3, public=True, timeout=60.0)
def far(ctx, seconds: float) -> float:
    gevent.sleep(seconds)
    return seconds


@on_disconnect
def leave(ctx):
    gevent.sleep(0.1)
    moments.append(ctx.uid)


@pytest.fixture
def cluster():
    moments.clear()
    handlers = {"gate": [login, work, leave], "world": [far]}
    with virtual_time(seed=1), InProcessCluster(TOML, handlers=handlers) as made:
        made.start()
        yield made


def test_idle_clients_are_told_and_closed_and_their_goodbyes_are_over(cluster):
    players = [cluster.connect() for _ in range(5)]
    for uid, player in enumerate(players):
        player.request("login", uid)
    assert cluster.drain("gate") is True
    assert sorted(moments) == [0, 1, 2, 3, 4]
    for player in players:
        player.wait_closed()
        assert player.goodbye == "server_stopping"
    assert len(cluster.kernel("gate").services["gate"].crowd.sessions) == 0


def test_nobody_new_comes_in(cluster):
    assert cluster.drain("gate")
    with pytest.raises(ConnectionRefusedError):
        cluster.connect()


@pytest.mark.parametrize("name", ["work", "far"])
def test_what_was_sent_before_is_answered_before_the_goodbye(cluster, name):
    player = cluster.connect()
    player.request("login", 1)
    answers = [player.ask(name, seconds) for seconds in (1.0, 0.5, 0.0)]
    gevent.sleep(0.1)
    draining = gevent.spawn(cluster.drain, "gate")
    gevent.sleep(0.5)
    late = player.ask(name, 0.0)
    assert [answer.get() for answer in answers] == [1.0, 0.5, 0.0]
    assert draining.get() is True
    player.wait_closed()
    assert player.goodbye == "server_stopping"
    with pytest.raises(Disconnected):
        late.get()


def test_at_the_limit_what_is_left_is_counted(cluster):
    player = cluster.connect()
    player.request("login", 1)
    player.ask("work", 50.0)
    player.ask("work", 0.0)
    gevent.sleep(0.1)
    assert cluster.drain("gate") is False
    assert cluster.kernel("gate").unfinished()["gate"] == 2


def test_a_crowd_is_let_go(cluster):
    players = [cluster.connect() for _ in range(250)]
    assert cluster.drain("gate") is True
    for player in players:
        player.wait_closed()
        assert player.goodbye == "server_stopping"
