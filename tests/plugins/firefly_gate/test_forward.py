"""Forwarded commands: a node that hangs, is full or is gone costs its own players, and nobody else."""

import time

import gevent
import pytest

from firefly_core import command, on_start
from firefly_core.errors import CommandTimeout, RemoteError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
rate = "off"
timeout = 5.0
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.stuck.node]
roots = ["gate"]
max_commands = 500
[servers.sound.node]
roots = ["gate"]
"""
TWINS = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.twin]
replicas = 2
[servers.twin.node]
roots = ["gate"]
"""
PLAYERS = 200
ended = []


@command(1, public=True)
def login(ctx, uid: int):
    ctx.session.bind(uid)


@command(10)
def hang(ctx):
    try:
        gevent.sleep(3600)
    except CommandTimeout:
        # Not even its deadline ends it soon.
        gevent.sleep(30)
    ended.append(ctx.uid)


@command(11)
def spin(ctx):
    time.sleep(0)


@command(20)
def echo(ctx, value: int) -> int:
    return value


@on_start
def begun(ctx) -> list:
    return []


@command(30)
def spend(ctx):
    ctx.state.append("begun")
    gevent.sleep(1)
    return len(ctx.state)


@command(31, idempotent=True)
def look(ctx):
    ctx.state.append("begun")
    gevent.sleep(1)
    return len(ctx.state)


@pytest.fixture
def cluster():
    ended.clear()
    handlers = {"gate": [login], "stuck": [hang, spin], "sound": [echo]}
    with virtual_time(seed=1) as world, InProcessCluster(TOML, handlers=handlers) as cluster:
        cluster.start()
        cluster.world = world
        yield cluster


def players(cluster, count):
    first = len(cluster.kernel("gate").services["gate"].crowd.players)
    clients = [cluster.connect() for _ in range(count)]
    for uid, client in enumerate(clients, first):
        client.request("login", uid)
    return clients


def code_of(pending):
    try:
        pending.get(60)
    except RemoteError as error:
        return error.code
    return "value"


def round_trips(cluster, client, count=50):
    """Give the longest of some requests to the sound node, in virtual seconds."""
    longest = 0.0
    for number in range(count):
        begin = cluster.world.now
        assert client.request("echo", number, timeout=5) == number
        longest = max(longest, cluster.world.now - begin)
        gevent.sleep(0.05)
    return longest


def test_a_node_whose_handlers_hang_cannot_use_up_the_gate(cluster):
    victims, good = players(cluster, PLAYERS), players(cluster, 1)[0]
    runners = cluster.kernel("gate").runners
    before = runners.statistics()["started_total"]
    pending = [client.ask("hang") for client in victims for _ in range(5)]
    gevent.sleep(0.5)
    assert round_trips(cluster, good) < 0.01
    assert runners.statistics()["started_total"] - before <= 2
    codes = [code_of(one) for one in pending]
    assert set(codes) == {"timeout", "overloaded"}
    assert codes.count("timeout") + codes.count("overloaded") == 5 * PLAYERS
    peer = cluster.kernel("gate").mesh.peers["stuck-1"]
    assert peer.channel.pending == 0


def test_what_hangs_is_bounded_at_the_node_too(cluster):
    victims = players(cluster, PLAYERS)
    pending = [client.ask("hang") for client in victims for _ in range(20)]
    gevent.sleep(1)
    statistics = cluster.kernel("stuck").services["node"].statistics()
    assert statistics["commands_waiting"] <= 500
    assert [code_of(one) for one in pending].count("overloaded") >= 20 * PLAYERS - 500 - PLAYERS


def test_a_node_that_does_not_answer_at_all_is_given_up_in_time_and_nobody_else_notices(cluster):
    victims, good = players(cluster, PLAYERS), players(cluster, 1)[0]
    for client in victims:
        client.request("spin")
    cluster.network.cut("stuck-1", "gate-1", both=True)
    begin = cluster.world.now
    pending = [client.ask("spin") for client in victims]
    assert round_trips(cluster, good) < 0.01
    codes = {code_of(one) for one in pending}
    assert codes <= {"timeout", "unavailable"}
    assert cluster.world.now - begin <= 15
    cluster.wait(lambda: not cluster.kernel("gate").mesh.peers["stuck-1"].connected, timeout=15)
    assert code_of(victims[0].ask("spin")) == "unavailable"
    cluster.network.heal()
    cluster.wait_connected(timeout=20)
    assert victims[0].request("spin") is None


def test_commands_beyond_what_may_be_open_wait_and_are_answered_in_order(cluster):
    [client] = players(cluster, 1)
    pending = [client.ask("echo", number) for number in range(300)]
    assert [one.get(10) for one in pending] == list(range(300))


@pytest.mark.parametrize(("name", "code", "executed"), [("spend", "unavailable", 0), ("look", "value", 1)])
def test_a_command_whose_node_dies_is_done_again_only_where_that_does_no_harm(name, code, executed):
    handlers = {"gate": [login], "twin": [begun, spend, look]}
    with virtual_time(seed=1), InProcessCluster(TWINS, handlers=handlers) as cluster:
        cluster.start()
        client = cluster.connect()
        client.request("login", 1)
        pending = client.ask(name)
        gevent.sleep(0.1)
        one, other = sorted(("twin-1", "twin-2"), key=lambda twin: not cluster.kernel(twin).state)
        assert cluster.kernel(one).state == ["begun"]
        assert cluster.kernel(other).state == []
        cluster.crash(one)
        assert code_of(pending) == code
        gevent.sleep(5)
        assert len(cluster.kernel(other).state) == executed
