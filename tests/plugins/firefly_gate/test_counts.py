"""What a gate counts can be read, and stays small whatever games and clients say."""

import pytest

from firefly_core import Refuse, command
from firefly_core.errors import ConfigurationError, RemoteError
from firefly_core.testing import InProcessCluster, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[firefly.channel]
frame = 65536
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
rate = "off"
max_frame = MAX
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
"""


@command(1, public=True)
def leave(ctx, reason: str):
    ctx.session.kick(reason)


@command(2, public=True)
def refuse(ctx, code: str):
    raise Refuse(code, "no")


@command(3, public=True)
def nothing(ctx): ...


def make(largest=8192):
    handlers = {"gate": [leave, refuse], "world": [nothing]}
    return InProcessCluster(TOML.replace("MAX", str(largest)), handlers=handlers)


@pytest.fixture
def cluster():
    with virtual_time(seed=1), make() as cluster:
        cluster.start()
        yield cluster


def figures(cluster):
    return cluster.kernel("gate").services["gate"].statistics()


def test_ends_and_errors_are_counted_by_their_word(cluster):
    client = cluster.connect()
    with pytest.raises(RemoteError):
        client.request("refuse", "too_far")
    client.write(b"rubbish\n")
    client.wait_closed()
    cluster.connect().close()
    cluster.wait(lambda: (figures(cluster)["accepted_total"], figures(cluster)["sessions"]) == (2, 0))
    found = figures(cluster)
    assert found["errors_too_far_total"] == found["errors_total"] == 1
    assert found["closed_bad_json_total"] == found["closed_end_of_stream_total"] == 1
    assert found["turned_away_total"] == 0


def test_a_game_that_says_something_else_to_everybody_fills_no_memory(cluster):
    client = cluster.connect()
    for number in range(200):
        with pytest.raises(RemoteError):
            client.request("refuse", f"code {number}")
        kicked = cluster.connect()
        kicked.ask("leave", f"reason {number}")
        kicked.wait_closed()
    found = figures(cluster)
    assert found["errors_total"] == 200
    assert sum(count for name, count in found.items() if name.startswith("closed_")) == 200
    assert len(found) < 160


@pytest.mark.parametrize(("largest", "fits"), [(64_512, True), (64_513, False)])
def test_a_message_that_no_channel_takes_is_found_before_the_start(largest, fits):
    if fits:
        make(largest).close()
        return
    with pytest.raises(ConfigurationError, match=r"gate.max_frame: 64513 bytes do not fit a frame"):
        make(largest)
