"""MessagePack-RPC to the letter: a client that was not written here, in a process without gevent, calls the root.

It is pynvim's session, which was made for Neovim; what it says to Neovim alone is left out.
"""

import json
import math
import re
import sys
from pathlib import Path

import gevent
import pytest
from gevent import subprocess

from firefly_core.errors import RemoteError
from firefly_core.testing import InProcessCluster

SHIPPED = Path(__file__).parents[3] / "firefly.toml"
CLIENT = """
import json, sys
from pynvim.msgpack_rpc import AsyncSession, EventLoop, MsgpackStream, Session

session = Session(AsyncSession(MsgpackStream(EventLoop("tcp", "127.0.0.1", int(sys.argv[1])))))
found = {"top": session.request("ranking.top"), "first": session.request("ranking.top", 1)}
for method, *params in (
    ["ranking.bottom"], ["ranking.top", "many"], ["ranking.top", 1, 2, 3], ["firefly.announce", {}]
):
    try:
        session.request(method, *params)
    except Exception as error:
        found[" ".join(map(str, [method, *params]))] = str(error)
session.request("ranking.top", 1, async_=True)
session.request("nobody.hears", 1, async_=True)
found["after"] = session.request("ranking.top", 1)
session.close()
print(json.dumps(found))
"""


def catch_one(client, name):
    """Play until a firefly is caught: only then is a player in the ranking."""
    known = {firefly["id"]: firefly for firefly in client.request(101, {"name": name})["world"]["fireflies"]}
    here = {"x": 0.0, "y": 0.0}
    with gevent.Timeout(30):
        while True:
            for push in client.pushes:
                if push.command == 2001:
                    known.update({firefly["id"]: firefly for firefly in push.body["fireflies"]})
            client.pushes.clear()
            x, y = here["x"], here["y"]
            nearest = min(known.values(), key=lambda one: math.hypot(one["x"] - x, one["y"] - y))
            here = client.request(102, {"x": nearest["x"], "y": nearest["y"]})
            try:
                return client.request(103, {"firefly": nearest["id"]})
            except RemoteError as error:
                if error.code == "gone":
                    del known[nearest["id"]]
                gevent.sleep(0.12)


@pytest.fixture(scope="module")
def found():
    """Play a little, then let the foreign client ask; give what it got."""
    toml = re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda port: str(21_000 + int(port[0]) % 10_000), SHIPPED.read_text())
    with InProcessCluster(toml, network="sockets", folder=SHIPPED.parent) as cluster:
        cluster.start()
        for name in ("Ann", "Bob"):
            catch_one(cluster.connect(protocol="datapack"), name)
        port = cluster.declared.servers["gate"].services["root"].listen[0].url.port
        run = subprocess.run(
            [sys.executable, "-c", CLIENT, str(port)], capture_output=True, text=True, timeout=30, check=False
        )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_it_gets_the_ranking(found):
    assert sorted(rank["name"] for rank in found["top"]) == ["Ann", "Bob"]
    assert len(found["first"]) == 1


def test_an_unknown_method_is_an_error(found):
    assert "ranking.bottom" in found["ranking.bottom"]


@pytest.mark.parametrize("call", ["ranking.top many", "ranking.top 1 2 3"])
def test_wrong_arguments_are_an_error(found, call):
    assert found[call]


def test_what_belongs_to_peers_is_closed_to_it(found):
    assert "hello" in found["firefly.announce {}"]


def test_its_connection_lives_on_after_errors_and_notifications(found):
    assert found["after"] == found["first"]
