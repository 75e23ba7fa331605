"""A player whose gate has died goes on through another one: who he is, his data, his groups and his node."""

import gevent
import pytest

from firefly_core import command, push
from firefly_core.errors import RemoteError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
directory = "hub"
[servers.hub.root]
listen = "tcp://127.0.0.1:10100"
[servers.east.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
resume_timeout = 30.0
[servers.east.root]
listen = "tcp://127.0.0.1:10001"
[servers.west.gate]
listen = { url = "tcp://127.0.0.1:11020", protocol = "json" }
resume_timeout = 30.0
[servers.west.root]
listen = "tcp://127.0.0.1:10002"
[servers.world]
replicas = 2
[servers.world.node]
roots = ["east", "west"]
"""
news = push(2001, name="news")


@command(1, public=True)
def login(ctx, uid: int):
    ctx.session.bind(uid)
    ctx.session.data["name"] = f"player {uid}"
    ctx.group("meadow").join(ctx.session)
    return ctx._kernel.name


@command(2)
def me(ctx):
    return [ctx.uid, ctx.session.data["name"], ctx._kernel.name]


@command(3)
def tell(ctx, text: str):
    ctx.group("meadow").push(news, text)


@pytest.fixture
def cluster():
    with virtual_time(seed=1), InProcessCluster(TOML, handlers={"world": [login, me, tell]}) as cluster:
        cluster.start()
        cluster.wait(lambda: len(cluster.kernel("hub").mesh.peers) == 2)
        yield cluster


@pytest.fixture
def player(cluster):
    for uid in range(5):
        cluster.connect("east").request("login", 100 + uid)
    client = cluster.connect("east")
    client.home = client.request("login", 7)
    client.token = client.request("firefly.token")["token"]
    gevent.sleep(1)
    return client


def test_the_player_goes_on_at_the_other_gate(cluster, player):
    cluster.crash("east")
    client = cluster.connect("west")
    answer = client.request("firefly.resume", {"token": player.token})
    assert (answer["uid"], answer["resync"]) == (7, True)
    assert client.request("me") == [7, "player 7", player.home]
    client.request("tell", "hello")
    assert client.wait_push("news") == "hello"


def test_the_new_token_is_good_for_the_next_time(cluster, player):
    cluster.crash("east")
    client = cluster.connect("west")
    token = client.request("firefly.resume", {"token": player.token})["token"]
    client.abort()
    again = cluster.connect("west")
    assert again.request("firefly.resume", {"token": token})["resync"] is False


def test_it_is_good_once(cluster, player):
    cluster.crash("east")
    assert cluster.connect("west").request("firefly.resume", {"token": player.token})["uid"] == 7
    with pytest.raises(RemoteError, match="bad_token"):
        cluster.connect("west").request("firefly.resume", {"token": player.token})


def test_after_its_time_it_is_good_no_more(cluster, player):
    cluster.crash("east")
    gevent.sleep(35)
    with pytest.raises(RemoteError, match="bad_token"):
        cluster.connect("west").request("firefly.resume", {"token": player.token})
    assert len(cluster.kernel("hub").directory.refuge) == 0


def test_a_player_may_change_gates_while_both_live(cluster, player):
    client = cluster.connect("west")
    assert client.request("firefly.resume", {"token": player.token})["uid"] == 7
    player.wait_closed()
    assert player.goodbye == "logged_in_elsewhere"
    assert client.request("me")[0] == 7


def test_a_session_that_ended_leaves_nothing_behind(cluster, player):
    cluster.kernel("east").services["gate"].crowd.players[7].kick("go")
    gevent.sleep(1)
    assert len(cluster.kernel("hub").directory.refuge) == 0
