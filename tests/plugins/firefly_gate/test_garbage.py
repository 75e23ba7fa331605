"""A session that has ended is gone at once: what waits for the garbage collector grows a server until it comes."""

import gc
from collections import Counter

import gevent
import pytest

from firefly_core import Refuse, command, push
from firefly_core.errors import RemoteError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]

[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:11010", protocol = "json" },
  { url = "ws://127.0.0.1:11011/", protocol = "json", origins = ["none"], compression = true },
  { url = "tcp://127.0.0.1:11012", protocol = "msgpack" },
]
rate = "off"
login_timeout = 0.5
resume_timeout = 0.5
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
"""
DOORS = [("tcp", "json"), ("ws", "json"), ("tcp", "msgpack")]
news = push(2001, name="news")


@command(1, public=True)
def login(ctx, uid: int):
    if uid < 0:
        raise Refuse("no", "not you")
    ctx.session.bind(uid)
    ctx.group("meadow").join(ctx.session)


@command(2)
def work(ctx, seconds: float):
    ctx.session.data["worked"] = seconds
    ctx.group("meadow").push(news, "x" * 200)
    gevent.sleep(seconds)


@command(3)
def leave(ctx):
    ctx.session.kick("enough")


@command(4)
def later(ctx):
    ctx.session.after(5.0, lambda ctx: ctx.log.info("it is time"))


def play(client, uid=7):
    client.request("login", uid)
    client.request("work", 0)


def closes(connect):
    client = connect()
    play(client)
    client.close()


def breaks_off(connect):
    client = connect()
    play(client)
    client.abort()


def says_nothing(connect):
    connect().wait_closed()


def is_refused(connect):
    client = connect()
    with pytest.raises(RemoteError):
        client.request("login", -1)
    client.close()


def is_kicked(connect):
    client = connect()
    play(client)
    client.notify("leave")
    client.wait_closed()


def leaves_while_a_command_runs(connect):
    client = connect()
    play(client)
    client.notify("work", 0.1)
    gevent.sleep(0.05)
    client.abort()


def leaves_before_a_timer(connect):
    client = connect()
    play(client)
    client.request("later")
    client.close()


def could_come_back_and_does_not(connect):
    client = connect()
    play(client)
    client.request("firefly.token")
    client.abort()


def comes_back(connect):
    client = connect()
    play(client)
    token = client.request("firefly.token")["token"]
    client.abort()
    gevent.sleep(0.05)
    client = connect()
    client.request("firefly.resume", {"token": token})
    client.request("work", 0)
    client.close()


def logs_in_elsewhere(connect):
    older, client = connect(), connect()
    play(older)
    play(client)
    older.wait_closed()
    client.close()


WAYS = [
    closes,
    breaks_off,
    says_nothing,
    is_refused,
    is_kicked,
    leaves_while_a_command_runs,
    leaves_before_a_timer,
    could_come_back_and_does_not,
    comes_back,
    logs_in_elsewhere,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("door", DOORS, ids="-".join)
@pytest.mark.parametrize("place", ["gate", "world"])
def test_nothing_of_a_session_is_left(place, door, way):
    scheme, protocol = door
    with (
        virtual_time(seed=1),
        InProcessCluster(TOML, handlers={"gate": [], "world": []} | {place: [login, work, leave, later]}) as cluster,
    ):
        cluster.start()
        cluster.wait(lambda: cluster.kernel("gate").mesh.peers)
        gate = cluster.kernel("gate").services["gate"]

        def connect():
            client = cluster.connect("gate", scheme=scheme, protocol=protocol)
            cluster._clients.remove(client)
            return client

        way(connect)  # what is made once, and kept, is there then
        gevent.sleep(1.5)
        gc.collect()
        gc.disable()
        try:
            way(connect)
            gevent.sleep(1.5)
            assert not gate.crowd.sessions
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            kinds = Counter(type(each).__qualname__ for each in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    # The rest is the kit's: its clients, and its network, whose two ends know each other.
    ours = {
        "ClientSession",
        "NodeSession",
        "SessionData",
        "Kept",
        "JsonText",
        "MsgpackFrames",
        "DeflateLayer",
        "Forward",
    }
    assert not ours & kinds.keys(), kinds
