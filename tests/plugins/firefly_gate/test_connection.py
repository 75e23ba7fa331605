"""How long a silent client is borne, by format and configuration."""

import gc
import socket

import gevent
import pytest
from firefly_gate.session import GateSession

from firefly_core import command
from firefly_core.testing import Conditions, InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "protocols"]
[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:11009", protocol = "datapack", codec = "json" },
  { url = "tcp://127.0.0.1:11010", protocol = "json" },
  { url = "ws://127.0.0.1:11011/", protocol = "json", origins = ["none"] },
]
rate = "off"
KEYS
"""


@command(1, public=True)
def login(ctx, uid: int):
    ctx.session.bind(uid)


@command(2)
def rest(ctx, seconds: float):
    gevent.sleep(seconds)


@pytest.fixture
def connect():
    with virtual_time(seed=1):
        clusters = []

        def connect(protocol, keys="", **options):
            cluster = InProcessCluster(TOML.replace("KEYS", keys), handlers={"gate": [login, rest]})
            clusters.append(cluster)
            cluster.start()
            client = cluster.connect(protocol=protocol, **options)
            client.network = cluster.network
            client.request(1, 7)
            client.gate = cluster.kernel("gate").services["gate"]
            return client

        yield connect
        for cluster in clusters:
            cluster.close()


def test_a_format_without_a_sign_of_life_is_borne_for_ever_unless_the_file_says_otherwise(connect):
    client = connect("datapack")
    gevent.sleep(3600)
    assert client.closed is None


def test_a_client_that_cannot_be_asked_is_closed_after_the_idle_timeout(connect):
    client = connect("datapack", "idle_timeout = 60.0")
    gevent.sleep(55)
    assert client.closed is None
    client.wait_closed(timeout=40)
    assert client.gate.counts.closed["idle"] == 1


def test_every_message_begins_the_idle_time_anew(connect):
    client = connect("datapack", "idle_timeout = 60.0")
    for _ in range(10):
        gevent.sleep(50)
        client.request(1, 7)
    assert client.closed is None


def test_idle_time_does_not_run_while_a_command_does(connect):
    client = connect("datapack", "idle_timeout = 30.0\ntimeout = 300.0")
    assert client.request(2, 200.0, timeout=300) is None


def test_a_client_that_can_be_asked_is_not_idle(connect):
    client = connect("json", "idle_timeout = 30.0")
    gevent.sleep(300)
    assert client.closed is None


@pytest.mark.parametrize("scheme", ["tcp", "ws"])
@pytest.mark.parametrize("after", [0.0, 1.3, 7.0, 14.9, 20.0, 40.0])
def test_a_client_that_is_gone_without_a_word_is_found_within_twice_the_heartbeat(connect, scheme, after):
    client = connect("json", "resume_timeout = 0", scheme=scheme, host="player")
    gevent.sleep(after)
    client.request(1, 7)
    client.network.cut("player", "gate-1", both=True)
    gevent.sleep(27)
    assert client.gate.counts.closed["timeout"] == 0
    gevent.sleep(3.5)
    assert client.gate.counts.closed["timeout"] == 1


@pytest.mark.parametrize("scheme", ["tcp", "ws"])
def test_a_client_whose_answer_takes_ten_seconds_is_not_gone(connect, scheme):
    client = connect("json", scheme=scheme, host="player")
    client.network.set_conditions("player", "gate-1", Conditions(delay=5.0))
    gevent.sleep(300)
    assert client.closed is None


@pytest.mark.parametrize(("protocol", "scheme"), [("json", "tcp"), ("json", "ws"), ("datapack", "tcp")])
@pytest.mark.parametrize("behind", [False, True], ids=["alone", "behind a command"])
def test_a_broken_connection_is_no_circle_that_keeps_what_had_arrived(connect, protocol, scheme, behind):
    """An error's frames hold those bytes; kept with it, they would wait for the garbage collector."""
    client = connect(protocol, scheme=scheme)
    [session] = client.gate.crowd.sessions.values()
    if behind:
        client.ask(2, 0.1)
    client.write(b"\xff" * 100)
    gevent.sleep(1)
    assert session.closed
    failure = session.wire.failure or session.layer.failure
    assert failure is not None
    assert (failure.__traceback__, failure.__context__, failure.__cause__) == (None, None, None)


def test_a_session_that_is_over_needs_no_garbage_collector():
    text = TOML.replace("KEYS", "")
    for port in (11009, 11010, 11011):
        text = text.replace(f":{port}", ":0")
    with InProcessCluster(text, handlers={"gate": [login, rest]}, network="sockets") as cluster:
        cluster.start()
        gate = cluster.kernel("gate").services["gate"]
        address = gate.doors[1].address.split(":")
        gc.collect()
        before = sum(isinstance(found, GateSession) for found in gc.get_objects())
        gc.disable()
        try:
            for words in [b'{"id":1,"cmd":1,"body":7}\n', b"garbage", b'{"id":1,"cmd":1,"body":8}\n{'] * 5:
                accepted = gate.counts.accepted
                with socket.create_connection(address) as client:
                    client.sendall(words)
                    cluster.wait(lambda accepted=accepted: gate.counts.accepted > accepted)
                cluster.wait(lambda: not gate.crowd.sessions)
            gevent.sleep(0.05)
            left = sum(isinstance(found, GateSession) for found in gc.get_objects())
        finally:
            gc.enable()
        assert left - before <= 2  # a runner knows what it ran last
