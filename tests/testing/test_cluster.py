"""A whole cluster in one process and in virtual time: players, crashes, cuts, clocks."""

import time

import gevent
import pytest

from firefly_core import Refuse, command, every, on_disconnect, on_start, on_stop, push, remote
from firefly_core.errors import ConfigurationError, DeadlineExceeded, RemoteError
from firefly_core.testing import ANY, Conditions, InProcessCluster, MemoryNetwork, virtual_time

TOML = """
[firefly]
name = "meadow"
plugins = ["gate", "root", "node", "protocols"]

[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:11009", protocol = "datapack", header = [7, 7, 7, 7, 1, 2], error_command = 9 },
  { url = "tcp://127.0.0.1:11010", protocol = "json" },
  { url = "tcp://127.0.0.1:11012", protocol = "msgpack" },
  { url = "tcp://127.0.0.1:11013", protocol = "pomelo" },
  { url = "ws://127.0.0.1:11011/play", protocol = "json", origins = ["http://127.0.0.1:8000"] },
]

[servers.gate.root]
listen = "tcp://127.0.0.1:10000"

[servers.world.node]
roots = ["gate"]
"""
caught = push(2003, name="caught")
moments = []


@pytest.fixture(autouse=True)
def no_moments():
    moments.clear()


@on_start
def start(ctx):
    return {"scores": {}, "ticks": 0}


@on_stop
def stop(ctx):
    moments.append("stop")


@on_disconnect
def leave(ctx):
    moments.append(f"{ctx.uid} left")


@command(101, public=True)
def login(ctx, name: str) -> str:
    ctx.session.bind(name)
    ctx.group("meadow").join(ctx.session)
    return f"hello {name}"


@command(102)
def catch(ctx, score: int) -> int:
    if score < 0:
        raise Refuse("too_far", "out of reach")
    ctx.state["scores"][ctx.uid] = score
    ctx.group("meadow").push(caught, [ctx.uid, score])
    return score


@command(103)
def rest(ctx, seconds: float) -> float:
    gevent.sleep(seconds)
    return seconds


@remote("ranking.top")
def top(ctx) -> list:
    return sorted(ctx.state["scores"].items())


@remote("ranking.date")
def date(ctx) -> float:
    return ctx.clock.time()


@every(0.1)
def tick(ctx):
    ctx.state["ticks"] += 1


WORLD = [start, stop, leave, login, catch, rest, top, date, tick]


@pytest.fixture
def world():
    with virtual_time(seed=3) as world:
        yield world


@pytest.fixture
def cluster(world):
    with InProcessCluster(TOML, handlers={"world": WORLD}) as cluster:
        cluster.start()
        yield cluster


# -------------------------------------------------------------------------------------------------------- playing


@pytest.mark.parametrize(
    "listener",
    [
        {"protocol": "json"},
        {"protocol": "datapack"},
        {"protocol": "msgpack"},
        {"protocol": "pomelo"},
        {"scheme": "ws", "origin": "http://127.0.0.1:8000"},
    ],
)
def test_a_player_logs_in_plays_and_is_refused_over_each_listener(cluster, listener):
    client = cluster.connect(**listener)
    assert client.request(101, "ann") == "hello ann"
    assert client.request(102, 5) == 5
    # datapack has no names, pomelo no ids for its pushes.
    assert client.wait_push(2003 if listener.get("protocol") == "datapack" else "caught") == ["ann", 5]
    with pytest.raises(RemoteError) as error:
        client.request(102, -1)
    assert (error.value.code, error.value.message) == ("too_far", "out of reach")


def test_pushes_to_a_group_reach_players_of_all_formats(cluster):
    clients = [cluster.connect(protocol="json"), cluster.connect(protocol="datapack")]
    for number, client in enumerate(clients):
        client.request(101, f"player {number}")
    clients[0].request(102, 7)
    assert [client.wait_push(2003) for client in clients] == [["player 0", 7]] * 2


def test_a_foreign_page_is_refused_by_the_websocket_listener(cluster):
    with pytest.raises(ConnectionError, match="403"):
        cluster.connect(scheme="ws", origin="http://evil.example")


def test_servers_call_each_other(cluster):
    client = cluster.connect(protocol="json")
    client.request("login", "ann")
    client.request("catch", 3)
    assert cluster.call("ranking.top", by="gate") == [["ann", 3]]


def test_an_idle_hour_of_two_servers_takes_at_most_two_seconds(world, cluster):
    clients = [cluster.connect(protocol="json") for _ in range(3)]
    for number, client in enumerate(clients):
        client.request("login", f"player {number}")
    began, before = time.perf_counter(), world.now
    gevent.sleep(3600)
    took = time.perf_counter() - began
    assert world.now - before == 3600
    assert 35_990 < cluster.kernel("world").state["ticks"] < 36_010
    assert [client.closed for client in clients] == [None] * 3
    assert took < 5 * 2.0


# --------------------------------------------------------------------------------------------------------- faults


def test_commands_during_a_crash_end_unavailable_and_work_again_after_the_restart(cluster):
    client = cluster.connect(protocol="json")
    client.request("login", "ann")
    cut_short = client.ask("rest", 5.0)
    gevent.sleep(0.1)
    cluster.crash("world")
    with pytest.raises(RemoteError) as error:
        cut_short.get()
    assert error.value.code == "unavailable"
    with pytest.raises(RemoteError) as error:
        client.request("rest", 0.0)
    assert error.value.code == "unavailable"
    assert moments == []
    kernel = cluster.restart("world")
    assert kernel.epoch == 2
    assert client.request("rest", 0.0) == 0.0


def test_an_orderly_stop_runs_the_stop_handlers(cluster):
    cluster.stop("world")
    assert moments == ["stop"]
    assert list(cluster.kernels) == ["gate-1"]


def test_a_crashed_gate_ends_its_clients_and_a_new_one_takes_them_in(cluster):
    client = cluster.connect(protocol="json")
    client.request("login", "ann")
    cluster.crash("gate")
    client.wait_closed()
    cluster.restart("gate")
    assert cluster.connect(protocol="json").request("login", "ann") == "hello ann"
    assert moments == ["ann left"]


@pytest.mark.parametrize("order", [("gate", "world"), ("world", "gate")])
def test_servers_find_each_other_whatever_the_order_of_their_start(world, order):
    with InProcessCluster(TOML, handlers={"world": WORLD}) as cluster:
        for server in order:
            cluster.start(server, wait=False)
            gevent.sleep(7)
        cluster.wait_connected()
        assert cluster.connect(protocol="json").request("login", "ann") == "hello ann"


def test_a_cut_link_is_found_by_the_silence_and_mended_by_itself(world, cluster):
    client = cluster.connect(protocol="json")
    client.request("login", "ann")
    cluster.network.cut("gate-1", "world-1", both=True)
    gevent.sleep(15)
    assert cluster.missing() == ["world-1 -> gate-1"]
    with pytest.raises(RemoteError) as error:
        client.request("catch", 1)
    assert error.value.code == "unavailable"
    cluster.network.heal()
    cluster.wait_connected()
    assert client.request("login", "ann") == "hello ann"


def test_a_reset_link_comes_back_within_a_second(world, cluster):
    before = world.now
    assert cluster.network.reset("gate-1", "world-1") == 1
    cluster.wait(lambda: cluster.missing(), "the loss")
    cluster.wait_connected()
    assert world.now - before < 1


def test_a_slow_link_delays_and_loses_nothing(world, cluster):
    cluster.network.set_conditions("gate-1", "world-1", Conditions(delay=0.2, jitter=0.1, loss=0.05))
    client = cluster.connect(protocol="json")
    before = world.now
    client.request("login", "ann")
    assert [client.ask("catch", number).get() for number in range(20)] == list(range(20))
    assert world.now - before > 20 * 0.4


def test_each_server_has_a_clock_of_its_own_that_can_be_wrong(world, cluster):
    right = world.clock.time()
    assert cluster.call("ranking.date", by="gate") == pytest.approx(right, abs=1)
    cluster.clock("world").jump(3600)
    assert cluster.call("ranking.date", by="gate") == pytest.approx(right + 3600, abs=1)
    cluster.restart("world")
    assert cluster.call("ranking.date", by="gate") == pytest.approx(right + 3600, abs=10)


def test_nothing_is_left_of_a_cluster_that_was_closed(world):
    network = MemoryNetwork(1)
    with InProcessCluster(TOML, handlers={"world": WORLD}, network=network) as cluster:
        cluster.start()
        cluster.connect(protocol="json").request("login", "ann")
        folder = cluster.declared.folder
        assert folder.exists()
    gevent.sleep(10)
    assert network.connections == []
    assert world.greenlets == []
    assert not folder.exists()


# ---------------------------------------------------------------------------------------------------- declarations


def test_a_wrong_declaration_is_told_whole(world):
    with pytest.raises(ConfigurationError) as error:
        InProcessCluster(TOML.replace("11009", "99999").replace('roots = ["gate"]', 'roots = ["gaet"]'))
    assert len(error.value.problems) == 2


def test_a_declaration_may_be_a_file_and_handlers_a_module_beside_it(world, tmp_path):
    (tmp_path / "firefly.toml").write_text(TOML.replace("[servers.world.node]", HANDLERS))
    (tmp_path / "my_own_handlers.py").write_text(
        "from firefly_core import command\n\n@command(101, public=True)\ndef login(ctx) -> str:\n    return 'hi'\n"
    )
    with InProcessCluster(tmp_path / "firefly.toml") as cluster:
        cluster.start()
        assert cluster.connect(protocol="json").request("login") == "hi"


HANDLERS = '[servers.world]\nhandlers = ["my_own_handlers"]\n[servers.world.node]'


def test_a_server_that_does_not_exist_is_named_with_the_nearest(cluster):
    with pytest.raises(ConfigurationError, match="world"):
        cluster.start("wrld")


def test_a_listener_that_does_not_exist_is_named(cluster):
    with pytest.raises(LookupError, match="carrier pigeon"):
        cluster.connect(protocol="carrier pigeon")


def test_waiting_in_vain_says_for_what(cluster):
    with pytest.raises(DeadlineExceeded, match="the moon, after 3 s"):
        cluster.wait(lambda: False, "the moon", timeout=3)


def test_replicas_share_the_gates_port_and_each_server_has_its_name(world):
    toml = TOML.replace("[servers.gate.gate]", "[servers.gate]\nreplicas = 2\n[servers.gate.gate]")
    toml = toml.replace("[servers.world.node]", "[servers.world]\nreplicas = 2\n[servers.world.node]")
    with InProcessCluster(toml, handlers={"world": WORLD}) as cluster:
        cluster.start()
        assert list(cluster.kernels) == ["gate-1", "gate-2", "world-1", "world-2"]
        clients = [cluster.connect(protocol="json") for _ in range(20)]
        assert {target for _, target in cluster.network.connections if target.startswith("gate")} == {
            "gate-1",
            "gate-2",
        }
        for number, client in enumerate(clients):
            assert client.request("login", f"player {number}") == f"hello player {number}"
        clients[0].request("catch", 1)
        assert [client.wait_push("caught") for client in clients] == [["player 0", 1]] * 20


# ------------------------------------------------------------------------------------------------- the same again


def play(seed):
    """Play under bad conditions and a crash; give everything that arrived anywhere, and when."""
    with virtual_time(seed) as world, InProcessCluster(TOML, handlers={"world": WORLD}, seed=seed) as cluster:
        network = cluster.network
        network.set_conditions(ANY, "gate-1", Conditions(delay=0.02, jitter=0.03, loss=0.02, segment=200))
        network.trace = []
        cluster.start()
        clients = [cluster.connect(protocol="json") for _ in range(5)]
        for number, client in enumerate(clients):
            client.request("login", f"player {number}")
        for number in range(50):
            client = world.random.choice(clients)
            client.ask("catch", number)
            gevent.sleep(world.random.random() * 0.1)
            if number == 25:
                cluster.crash("world")
                cluster.restart("world", wait=False)
        gevent.sleep(5)
        return network.trace, [client.pushes for client in clients]


def test_the_same_seed_gives_the_same_game_to_the_last_byte():
    first = play(5)
    assert len(first[0]) > 500
    assert play(5) == first


def test_another_seed_gives_another_game():
    assert play(5)[0] != play(6)[0]


# ------------------------------------------------------------------------------------------------- the real thing


def test_the_same_cluster_runs_on_real_sockets_and_in_real_time():
    toml = TOML.replace(":110", ":310").replace(":10000", ":30900")
    with InProcessCluster(toml, handlers={"world": WORLD}, network="sockets") as cluster:
        cluster.start()
        client = cluster.connect(protocol="json")
        assert client.request("login", "ann") == "hello ann"
        cluster.restart("world")
        assert client.request("rest", 0.01) == 0.01
        with pytest.raises(RuntimeError, match="real processes"):
            cluster.crash("world")
        with pytest.raises(RuntimeError, match="virtual time"):
            cluster.clock("world")
