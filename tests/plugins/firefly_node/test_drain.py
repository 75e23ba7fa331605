"""A node that drains: commands go elsewhere, what it has accepted is finished, players take their leave in order."""

import gevent
import pytest

from firefly_core import command, on_connect, on_disconnect, on_login, remote
from firefly_core.errors import RemoteError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
drain_timeout = 5.0
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
rate = "off"
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world]
replicas = REPLICAS
[servers.world.node]
roots = ["gate"]
"""
moments = []


def note(ctx, what):
    moments.append((ctx._kernel.name, what, ctx.uid))


@on_connect
def arrive(ctx):
    note(ctx, "connect")


@on_login
def enter(ctx):
    note(ctx, "login")


@on_disconnect
def depart(ctx):
    gevent.sleep(0.2)
    note(ctx, "disconnect")


@command(1, public=True)
def login(ctx, uid: int) -> str:
    ctx.session.bind(uid)
    return ctx._kernel.name


@command(2)
def where(ctx) -> str:
    note(ctx, "where")
    return ctx._kernel.name


@command(3, timeout=60.0)
def work(ctx, seconds: float) -> str:
    gevent.sleep(seconds)
    note(ctx, "work")
    return ctx._kernel.name


@remote("world.work")
def remote_work(ctx, seconds: float) -> str:
    gevent.sleep(seconds)
    return ctx._kernel.name


HANDLERS = [arrive, enter, depart, login, where, work, remote_work]


@pytest.fixture(params=[2])
def cluster(request):
    moments.clear()
    toml = TOML.replace("REPLICAS", str(request.param))
    with virtual_time(seed=1), InProcessCluster(toml, handlers={"world": HANDLERS}) as made:
        made.start()
        yield made


def player_at(cluster, node, uid=7):
    """Give a player whose commands go to that node."""
    while True:
        player = cluster.connect()
        if player.request("login", uid) == node:
            moments.clear()
            return player
        player.close()
        uid += 1


def test_a_player_goes_to_another_node_once_the_old_one_has_let_go(cluster):
    player = player_at(cluster, "world-1")
    assert cluster.drain("world-1")
    assert player.request("where") == "world-2"
    assert [(node, what) for node, what, _ in moments] == [
        ("world-1", "disconnect"),
        ("world-2", "connect"),
        ("world-2", "login"),
        ("world-2", "where"),
    ]


def test_a_command_at_once_after_it_waits_for_the_goodbye(cluster):
    player = player_at(cluster, "world-1")
    draining = gevent.spawn(cluster.drain, "world-1")
    gevent.sleep(0.01)
    answer = player.ask("where")
    assert answer.get() == "world-2"
    assert draining.get()
    assert moments.index(("world-1", "disconnect", 7)) < moments.index(("world-2", "login", 7))


def test_what_was_accepted_is_finished_there_and_what_follows_waits_for_it(cluster):
    player = player_at(cluster, "world-1")
    working = player.ask("work", 2.0)
    gevent.sleep(0.1)
    draining = gevent.spawn(cluster.drain, "world-1")
    gevent.sleep(0.1)
    following = player.ask("where")
    gevent.sleep(1.0)
    assert not working.ready
    assert not following.ready
    assert not draining.ready()
    assert working.get() == "world-1"
    assert following.get() == "world-2"
    assert draining.get() is True
    order = [(node, what) for node, what, _ in moments]
    assert order.index(("world-1", "work")) < order.index(("world-1", "disconnect")) < order.index(("world-2", "where"))


def test_a_pipeline_of_commands_loses_none_and_keeps_its_order(cluster):
    player = player_at(cluster, "world-1")
    answers = []
    for number in range(200):
        answers.append(player.ask("where"))
        if number == 100:
            draining = gevent.spawn(cluster.drain, "world-1")
        if number % 10 == 0:
            gevent.sleep(0.001)
    told = [answer.get() for answer in answers]
    assert draining.get() is True
    assert told == sorted(told)
    assert set(told) == {"world-1", "world-2"}


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_without_another_node_commands_are_refused_and_players_take_their_leave(cluster):
    player = player_at(cluster, "world-1")
    assert cluster.drain("world-1")
    assert [(node, what) for node, what, _ in moments] == [("world-1", "disconnect")]
    with pytest.raises(RemoteError, match="unavailable"):
        player.request("where")


def test_a_drained_node_that_starts_anew_greets_its_players(cluster):
    player = player_at(cluster, "world-1")
    cluster.drain("world-1")
    cluster.restart("world-1")
    cluster.drain("world-2")
    assert player.request("where") == "world-1"
    assert moments.count(("world-1", "login", 7)) == 1


def test_calls_go_to_others_and_those_that_run_are_waited_for(cluster):
    running = gevent.spawn(cluster.kernel("gate").mesh.call, "world.work", (1.0,), to="world-1")
    gevent.sleep(0.1)
    draining = gevent.spawn(cluster.drain, "world-1")
    gevent.sleep(0.1)
    assert cluster.call("world.work", 0.0, by="gate") == "world-2"
    assert not draining.ready()
    assert running.get() == "world-1"
    assert draining.get() is True


def test_the_time_to_drain_ends_and_what_is_dropped_is_counted(cluster):
    player = player_at(cluster, "world-1")
    player.ask("work", 30.0)
    player.ask("where")
    gevent.sleep(0.1)
    kernel = cluster.kernel("world-1")
    assert cluster.drain("world-1") is False
    assert kernel.unfinished() == {"calls": 2, "node": 2}
