"""The worst defects of Firefly's ancestor, G-Firefly: each name is a defect that must not come back."""

import ast
import marshal
import os
import pickle
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import gevent
import msgpack
import pytest

from firefly_core import command, on_start, remote
from firefly_core.errors import Disconnected, RemoteError
from firefly_core.testing import DatapackWire, InProcessCluster, virtual_time
from tests.ports import free_port
from tests.promises import lab
from tests.promises.code_lab import code_lab
from tests.promises.models import Hero

ROOT = Path(__file__).parents[1]
TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11009", protocol = "datapack", codec = "json" }
rate = "off"
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
open = true
[servers.world]
replicas = 2
[servers.world.node]
roots = ["gate"]
"""
HEADER = struct.Struct("!5B3I")
seen = []


@on_start
def start(ctx):
    seen.clear()


@command(1, public=True)
def login(ctx, uid: int):
    ctx.session.bind(uid)


@command(2)
def slow(ctx, value: int):
    seen.append(("begin", value))
    gevent.sleep(0.1 / value)
    seen.append(("end", value))
    return value


@command(3)
def fail(ctx):
    raise ZeroDivisionError("a secret")


@command(4)
def nothing(ctx):
    return None


@remote("broken")
def broken(ctx):
    raise ZeroDivisionError("a secret")


@remote("rest")
def rest(ctx, seconds: float):
    gevent.sleep(seconds)


@remote("where")
def where(ctx):
    return ctx._kernel.name


@remote("taken", open=True)
def taken(ctx, value):
    seen.append(value)


HANDLERS = [start, login, slow, fail, nothing, broken, rest, where, taken]


@pytest.fixture
def cluster():
    with virtual_time(seed=1), InProcessCluster(TOML, handlers={"world": HANDLERS}) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def player(cluster):
    client = cluster.connect()
    client.request(1, 7)
    return client


# ----------------------------------------------------------------------------------------------------- clients


def test_commands_of_one_connection_run_concurrently_and_out_of_order(player):
    answers = [player.ask(2, value) for value in (1, 2, 3)]
    assert [answer.get() for answer in answers] == [1, 2, 3]
    assert seen == [(what, value) for value in (1, 2, 3) for what in ("begin", "end")]


def test_frames_are_unbounded_before_login(cluster):
    stranger = cluster.connect()
    stranger.write(HEADER.pack(0, 0, 0, 0, 0, 0, 2**31, 1))
    stranger.wait_closed()
    assert stranger.received == 0
    assert cluster.kernel("gate").services["gate"].counts.closed["too_long"] == 1


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_a_length_below_four_desynchronises_the_stream(cluster, length):
    client = cluster.connect()
    client.write(HEADER.pack(0, 0, 0, 0, 0, 0, length, 1) + DatapackWire().encode(1, 1, 7))
    client.wait_closed()
    assert cluster.kernel("gate").services["gate"].counts.closed["bad_length"] == 1
    assert cluster.kernel("gate").services["gate"].crowd.players == {}


def test_an_exception_in_a_handler_gives_no_reply(player):
    with pytest.raises(RemoteError) as caught:
        player.request(3, timeout=1.0)
    assert caught.value.code == "internal"
    assert "secret" not in caught.value.message


def test_an_empty_result_gives_no_reply(player):
    assert player.request(4, timeout=1.0) is None


# -------------------------------------------------------------------------------------------- between servers


def test_a_remote_exception_reaches_the_caller_as_none(cluster):
    with pytest.raises(RemoteError) as caught:
        cluster.call("broken", by="gate")
    assert caught.value.code == "internal"


def test_auto_reconnect_is_dead_code(cluster):
    cluster.network.reset("world-1", "gate-1")
    cluster.network.reset("world-2", "gate-1")
    cluster.wait(cluster.missing)
    cluster.wait(lambda: not cluster.missing(), timeout=10.0)
    assert cluster.call("where", by="gate") in ("world-1", "world-2")


def test_connecting_to_a_server_that_is_not_there_raises():
    with virtual_time(seed=1), InProcessCluster(TOML, handlers={"world": HANDLERS}) as cluster:
        cluster.start("world", wait=False)
        gevent.sleep(60)
        cluster.start("gate")
        assert cluster.call("where", by="gate") in ("world-1", "world-2")


def test_a_node_that_rejoins_under_its_name_stays_uncallable(cluster):
    for _ in range(3):
        cluster.crash("world-2")
        cluster.restart("world-2")
        assert cluster.kernel("gate").mesh.call("where", (), to="world-2") == "world-2"


def test_pending_calls_hang_when_the_link_dies(cluster):
    waiting = gevent.spawn(cluster.kernel("gate").mesh.call, "rest", (600.0,), timeout=600.0, to="world-1")
    gevent.sleep(1.0)
    cluster.crash("world-1")
    waiting.join(timeout=1.0)
    assert isinstance(waiting.exception, Disconnected)
    assert waiting.exception.sent


@pytest.mark.parametrize(
    "payload",
    [
        pickle.dumps([0, 1, "taken", [1]]),
        marshal.dumps([0, 1, "taken", [1]]),
        msgpack.packb([0, 1, "taken", [msgpack.ExtType(1, pickle.dumps(1))]]),
    ],
    ids=["pickle", "marshal", "an extension type with a pickle in it"],
)
def test_objects_of_any_peer_are_unpickled(cluster, payload):
    network = cluster.network.host("stranger")
    line = network.dial("127.0.0.1", 10000, timeout=5.0)
    got = []
    line.start(lambda: got.append(line.recv(65536)))
    line.send(payload)
    cluster.wait(lambda: b"" in got)
    assert seen == []
    assert cluster.call("where", by="gate") in ("world-1", "world-2")


def test_anything_is_imported_that_can_make_code_of_bytes():
    for file in [*ROOT.glob("firefly_core/**/*.py"), *ROOT.glob("plugins/**/*.py"), *ROOT.glob("example_game/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"pickle", "marshal", "shelve", "dill", "cloudpickle"}.intersection(names), file


# --------------------------------------------------------------------------------------------------- operations


def test_whoever_asks_for_stop_stops_the_server():
    with InProcessCluster(
        '[firefly]\nplugins = ["root", "admin"]\n[servers.gate.root]\nlisten = "tcp://127.0.0.1:10000"\n'
        '[servers.admin.admin]\nlisten = "http://127.0.0.1:0"\n'
    ) as cluster:
        cluster.start()
        [address] = cluster.kernel("admin").services["admin"].addresses
        for path in ("/stop", "/api/stop"):
            for data in (None, b'{"everything": true}'):
                request = urllib.request.Request(f"http://127.0.0.1:{address[1]}{path}", data=data)
                with pytest.raises(urllib.error.HTTPError) as caught:
                    urllib.request.urlopen(request, timeout=10)
                assert caught.value.code in (401, 403, 404, 405)
                caught.value.close()
        assert set(cluster.kernels) == {"gate-1", "admin-1"}


def test_nobody_watches_over_the_processes_that_were_started(tmp_path):
    port = free_port()
    (tmp_path / "firefly.toml").write_text(
        f'[firefly]\nplugins = ["root"]\n[servers.hub.root]\nlisten = "tcp://127.0.0.1:{port}"\n'
    )
    log = tmp_path / "log"
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}

    def pids():
        return [int(pid) for pid in re.findall(r"hub-1 is ready pid=(\d+)", log.read_text())]

    def wait(condition):
        ends = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < ends, log.read_text()
            gevent.sleep(0.02)

    with log.open("wb") as output:
        run = subprocess.Popen(
            [sys.executable, "-m", "firefly_core.run"], cwd=tmp_path, stdout=output, stderr=output, env=environ
        )
    try:
        wait(lambda: len(pids()) == 1)
        os.kill(pids()[0], signal.SIGKILL)
        wait(lambda: len(pids()) == 2)
        assert pids()[0] != pids()[1]
    finally:
        run.terminate()
        assert run.wait(timeout=20) == 0


def test_a_hot_reload_of_a_module_with_handlers_fails():
    with code_lab() as made:
        assert made.ask(by=5) == 6
        made.write("rules", "SCORE = 10\n")
        report = made.reload()
        assert (report.problems, report.taken) == ((), True)
        assert made.ask(by=5) == 15


# ------------------------------------------------------------------------------------------------------ storage


def test_write_behind_loses_acknowledged_rows(tmp_path):
    owner = lab.make_owner(tmp_path, flush_interval=60.0)
    owner.start()
    db = lab.OwnedHandle(owner)
    hero = db.create(Hero, name="Ada", gold=1)
    hero.gold = 7
    db.save(hero)
    lab.abandon(owner)
    with lab.running(tmp_path) as db:
        assert db.get(Hero, hero.id).gold == 7


def test_an_evicted_key_brings_an_old_row_back(tmp_path):
    with lab.running(tmp_path, memory=65536) as db:
        hero = db.create(Hero, name="Ada", gold=1)
        lab.wait_until(lambda: stored(tmp_path, hero.id) == ("Ada", 1))
        with Held(tmp_path):
            hero.gold = 7
            db.save(hero)
            for number in range(2000):
                db.create(Hero, name=f"hero {number}")
            assert stored(tmp_path, hero.id) == ("Ada", 1)
            assert db.get(Hero, hero.id).gold == 7
        lab.wait_until(lambda: stored(tmp_path, hero.id) == ("Ada", 7))


def test_values_become_part_of_the_sql(tmp_path):
    name = """x'); DROP TABLE hero; --"\\"""
    with lab.running(tmp_path) as db:
        hero = db.create(Hero, name=name, gold=3)
        lab.wait_until(lambda: stored(tmp_path, hero.id) == (name, 3))
        with pytest.raises(TypeError):
            db.create(Hero, **{"name) VALUES (1); --": "x"})
    with lab.running(tmp_path) as db:
        assert db.get(Hero, hero.id).name == name


def stored(folder, key):
    with sqlite3.connect(f"file:{folder}/game.db?mode=ro", uri=True) as database:
        row = database.execute("SELECT name, gold FROM hero WHERE id = ?", (key,)).fetchone()
    database.close()
    return row


class Held:
    """Lock the database against writing for a while."""

    def __init__(self, folder):
        self._database = sqlite3.connect(f"{folder}/game.db", isolation_level=None, timeout=10)

    def __enter__(self):
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_):
        self._database.execute("ROLLBACK")
        self._database.close()
