"""Groups and pushes at their limits: names, memberships, and players who have just left."""

import gevent
import pytest

from firefly_core import command, push
from firefly_core.errors import RemoteError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
rate = "off"
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
"""
news = push(2001, name="news")
gone = []


@command(1, public=True)
def login(ctx, uid: int):
    ctx.session.bind(uid)


@command(2)
def join(ctx, name: str):
    ctx.group(name).join(ctx.session)


@command(3)
def join_directly(ctx, name: str):
    ctx.session.join(name)


@command(4)
def keep(ctx):
    gone.append(ctx.session)


@command(5)
def tell(ctx, uid: int):
    ctx.push_to(uid, news, "hello")


@command(6)
def tell_gone(ctx):
    gone[0].push(news, "hello")


@pytest.fixture(params=["gate", "world"])
def cluster(request):
    """Handlers on the gate itself, or on a node behind it."""
    gone.clear()
    handlers = {request.param: [login, join, join_directly, keep, tell, tell_gone]}
    with virtual_time(seed=1), InProcessCluster(TOML, handlers=handlers) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def player(cluster):
    client = cluster.connect()
    client.request("login", 7)
    return client


@pytest.fixture
def gate(cluster):
    return cluster.kernel("gate").services["gate"]


@pytest.mark.parametrize("how", ["join", "join_directly"])
@pytest.mark.parametrize("name", ["", "x" * 256, "x" * 65_000], ids=["empty", "256", "64KiB"])
def test_a_groups_name_that_is_too_long_joins_nothing(player, gate, how, name):
    with pytest.raises(RemoteError, match="internal"):
        player.request(how, name)
    assert gate.crowd.groups == {}
    assert player.request(how, "x" * 255) is None
    assert list(gate.crowd.groups) == ["x" * 255]


def test_a_session_is_in_so_many_groups_and_no_more(player, gate):
    for number in range(64):
        assert player.request("join", f"group {number}") is None
    with pytest.raises(RemoteError, match="internal"):
        player.request("join", "one more")
    assert player.request("join", "group 0") is None
    assert len(gate.crowd.groups) == 64


def test_groups_end_with_their_last_member(player, gate):
    player.request("join", "meadow")
    player.close()
    gevent.sleep(0.1)
    assert gate.crowd.groups == {}


def test_a_push_to_a_player_who_just_left_is_counted_and_hurts_nobody(cluster, player, gate):
    other = cluster.connect()
    other.request("login", 8)
    before = gate.statistics()["pushes_missed_total"]
    player.close()
    other.request("tell", 7)
    other.request("tell", 8)
    assert other.wait_push("news") == "hello"
    gevent.sleep(0.1)
    assert gate.statistics()["pushes_missed_total"] == before + 1


def test_a_push_to_a_session_that_has_ended_is_counted(cluster, player, gate):
    player.request("keep")
    other = cluster.connect()
    other.request("login", 8)
    player.close()
    gevent.sleep(0.1)
    other.request("tell_gone")
    gevent.sleep(0.1)
    assert gate.statistics()["pushes_missed_total"] == 1


def test_a_push_to_a_player_whose_line_is_lost_but_not_noticed_yet_is_let_go_with_him(cluster, player, gate):
    other = cluster.connect()
    other.request("login", 8)
    player.abort()
    other.request("tell", 7)
    assert other.request("tell", 8) is None
    gevent.sleep(0.1)
    assert list(gate.crowd.players) == [8]
