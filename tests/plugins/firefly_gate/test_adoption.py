"""A player whose gate has died goes on through another one: who he is, his data, his groups and his node."""

import contextlib
import json

import gevent
import pytest

from firefly_core import command, push
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


@contextlib.contextmanager
def made(toml=TOML):
    with virtual_time(seed=1), InProcessCluster(toml, handlers={"world": [login, me, tell]}) as cluster:
        cluster.start()
        cluster.wait(lambda: len(cluster.kernel("hub").mesh.peers) == 2)
        yield cluster


@pytest.fixture
def cluster():
    with made() as cluster:
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


def test_the_client_is_told_that_answers_are_not_repeated(cluster, player):
    cluster.crash("east")
    client = cluster.connect("west")
    answer = client.request("firefly.resume", {"token": player.token})
    assert answer["repeats"] is False
    client.abort()
    assert cluster.connect("west").request("firefly.resume", {"token": answer["token"]})["repeats"] is True


def test_pushes_are_numbered_on_from_what_the_client_has(cluster, player):
    for number in range(3):
        player.request("tell", f"{number}")
    player.wait_push("news")
    cluster.crash("east")
    client = cluster.connect("west")
    client.write(b'{"id": 1, "cmd": "firefly.resume", "ack": 2, "body": {"token": "%s"}}\n' % player.token.encode())
    lines = []
    client._wire.receive = lambda data: lines.extend(map(json.loads, data.splitlines())) or []
    client.wait(lambda: len(lines) == 1)
    assert lines[0]["body"]["seq"] == 2
    client.write(b'{"id": 2, "cmd": "tell", "body": "on"}\n')
    client.wait(lambda: len(lines) == 3)
    assert [line["seq"] for line in lines if "seq" in line] == [3]


def test_a_number_that_no_push_can_have_is_not_taken_over(cluster, player):
    cluster.crash("east")
    client = cluster.connect("west")
    client.write(b'{"cmd": "ack", "ack": 9223372036854775807}\n')
    assert client.request("firefly.resume", {"token": player.token})["seq"] < 2**53
    client.request("tell", "on")
    assert client.wait_push("news") == "on"


def test_a_login_makes_what_a_dead_gate_has_left_worthless(cluster, player):
    cluster.crash("east")
    assert cluster.connect("west").request("login", 7)
    assert len(cluster.kernel("hub").directory.refuge) == 0
    with pytest.raises(RemoteError, match="bad_token"):
        cluster.connect("west").request("firefly.resume", {"token": player.token})


def test_a_session_that_could_not_be_taken_over_can_be_taken_over_later(cluster, player):
    cluster.crash("east")
    client = cluster.connect("west")
    gate = cluster.kernel("west").services["gate"]
    enter, gate.logins.enter = gate.logins.enter, refuse
    with pytest.raises(RemoteError, match="unavailable"):
        client.request("firefly.resume", {"token": player.token})
    [stranger] = [session for session in gate.crowd.sessions.values() if session.uid is None]
    assert dict(stranger.data) == {}
    gate.logins.enter = enter
    assert client.request("firefly.resume", {"token": player.token})["uid"] == 7


def refuse(*_, **__):
    raise Unavailable("nobody can say just now who is logged in")


def test_where_a_second_login_is_refused_the_player_himself_goes_on():
    with made(TOML.replace("resume_timeout", 'second_login = "refuse"\nresume_timeout')) as cluster:
        player = cluster.connect("east")
        player.request("login", 7)
        token = player.request("firefly.token")["token"]
        with pytest.raises(RemoteError, match="logged_in_elsewhere"):
            cluster.connect("west").request("login", 7)
        client = cluster.connect("west")
        assert client.request("firefly.resume", {"token": token})["uid"] == 7
        assert client.request("me")[0] == 7


def test_where_a_second_login_is_refused_a_dead_gate_keeps_nobody_out():
    with made(TOML.replace("resume_timeout", 'second_login = "refuse"\nresume_timeout')) as cluster:
        cluster.connect("east").request("login", 7)
        cluster.crash("east")
        client = cluster.connect("west")
        assert client.request("login", 7)
        assert client.request("me")[0] == 7
