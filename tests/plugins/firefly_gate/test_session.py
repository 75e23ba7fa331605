"""What a handler may do wrong with a session is an error of that command, and hurts no later one."""

import gevent
import pytest

from firefly_core import command, on_disconnect
from firefly_core.errors import RemoteError
from firefly_core.testing import FakeSession, InProcessCluster, virtual_time

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
BAD_UIDS = [2**70, -(2**63) - 1, "", "x" * 256, "\ud800", True, 1.5, None, b"ann"]
BAD_REASONS = ["", "x" * 129, "\ud800", 5, None]
BAD_ROUTES = [("", "world-1"), (5, "world-1"), ("world", 5), ("world", ""), ("world", "x" * 256), ("w" * 256, None)]
BAD_DATA = ["\ud800", 2**70, object(), "x" * 5000]
hanging = []


@command(1, public=True)
def bind(ctx, index: int):
    ctx.session.bind([7, *BAD_UIDS][index])


@command(2, public=True)
def kick(ctx, index: int):
    ctx.session.kick(BAD_REASONS[index])


@command(3, public=True)
def route(ctx, index: int):
    ctx.session.route(*BAD_ROUTES[index])


@command(4, public=True)
def data(ctx, index: int):
    ctx.session.data["x"] = BAD_DATA[index]


@command(5)
def echo(ctx, value: int) -> int:
    return value


@on_disconnect
def goodbye(ctx):
    if hanging:
        gevent.sleep(hanging[0])


@pytest.fixture(params=["gate", "world"])
def cluster(request):
    """The handlers that misbehave on the gate, or on a node; `echo` always on the node."""
    hanging.clear()
    handlers = {"gate": [], "world": [echo]}
    handlers[request.param] += [bind, kick, route, data, goodbye]
    with virtual_time(seed=1), InProcessCluster(TOML, handlers=handlers) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def client(cluster):
    return cluster.connect()


CASES = [
    (name, index)
    for name, bad in (("bind", [7, *BAD_UIDS]), ("kick", BAD_REASONS), ("route", BAD_ROUTES), ("data", BAD_DATA))
    for index in range(name == "bind", len(bad))
]


@pytest.mark.parametrize(("name", "index"), CASES)
def test_a_value_that_cannot_be_is_an_error_of_its_command(client, name, index):
    with pytest.raises(RemoteError, match="internal"):
        client.request(name, index)
    assert client.request("bind", 0) is None
    assert client.request("echo", 5) == 5


@pytest.mark.parametrize("uid", BAD_UIDS)
def test_the_fake_session_is_as_strict(uid):
    with pytest.raises(ValueError, match="uid"):
        FakeSession().bind(uid)


@pytest.mark.parametrize("reason", BAD_REASONS)
def test_the_fake_session_takes_no_bad_reason(reason):
    with pytest.raises(ValueError, match="reason"):
        FakeSession().kick(reason)


def test_a_goodbye_that_hangs_does_not_lock_its_player_out_for_ever(cluster, client):
    hanging.append(3600)
    client.request("bind", 0)
    client.close()
    gevent.sleep(0.1)
    other = cluster.connect()
    gevent.sleep(40)
    if other.closed is not None:
        other = cluster.connect()
    assert other.request("bind", 0) is None
    assert other.request("echo", 5) == 5
