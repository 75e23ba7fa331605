"""A player's commands through a gate to a node and back: in order, exactly once, whatever dies."""

import random

import gevent
import pytest

from firefly_core import Refuse, command, on_connect, on_disconnect, on_login, on_start, push, remote
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

[servers.world]
replicas = REPLICAS
[servers.world.node]
roots = ["gate"]
"""
caught = push(2003, name="caught")
moments = []


@on_start
def start(ctx):
    return {"log": []}


@on_connect
def arrive(ctx):
    moments.append("connect")


@on_login
def enter(ctx):
    moments.append(f"login {ctx.uid}")


@on_disconnect
def depart(ctx):
    moments.append(f"disconnect {ctx.uid}")


@command(1, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    ctx.session.data["name"] = f"player {uid}"
    ctx.group("meadow").join(ctx.session)
    return uid


@command(2)
def number(ctx, value: int) -> int:
    ctx.state["log"].append((ctx.uid, value))
    if value % 3 == 0:
        gevent.sleep(random.Random(value).uniform(0, 0.02))
    ctx.state["log"].append((ctx.uid, -value))
    return value


@command(3)
def rest(ctx, seconds: float) -> float:
    gevent.sleep(seconds)
    return seconds


@command(4)
def name(ctx):
    return [ctx.session.data["name"], ctx.session.address, ctx.session.protocol]


@command(5)
def shout(ctx, text: str):
    ctx.group("meadow").push(caught, [ctx.uid, text])
    return sorted(ctx.group("meadow").members())


@command(6)
def kick(ctx):
    ctx.session.kick("go home")


@command(7)
def fail(ctx, how: str):
    if how == "refuse":
        raise Refuse("too_far", "out of reach")
    raise {"exit": SystemExit(3), "timeout": gevent.Timeout(), "error": ZeroDivisionError("secret")}[how]


@command(8, timeout=0.3)
def hang(ctx):
    gevent.sleep(3600)


@command(9)
def elsewhere(ctx, uid: int):
    ctx.push_to(uid, caught, "for you")


@command(10)
def leave_group(ctx):
    ctx.group("meadow").leave(ctx.session)


@command(11)
def logout(ctx):
    ctx.session.unbind()


@command(12)
def where(ctx):
    return ctx._kernel.name


@command(13)
def move_to(ctx, process: str | None):
    ctx.session.route("world", process)


@command(14)
def announce(ctx, but: list[int]):
    ctx.push_all(caught, "to all", but=but)
    ctx.group("meadow").push(caught, "to the group", but=but)
    ctx.push_to([7, 9, 999], caught, "to some")
    return sorted(ctx.online())


@remote("log")
def log(ctx):
    return ctx.state["log"]


HANDLERS = [
    start, arrive, enter, depart, login, number, rest, name, shout, kick, fail, hang, elsewhere, leave_group,
    logout, where, move_to, announce, log,
]  # fmt: skip


def make_cluster(replicas=1, gate="", node=""):
    moments.clear()
    toml = TOML.replace("REPLICAS", str(replicas)).replace('rate = "off"', f'rate = "off"\n{gate}') + node
    return InProcessCluster(toml, handlers={"world": HANDLERS})


@pytest.fixture
def cluster():
    with virtual_time(seed=1), make_cluster() as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def player(cluster):
    client = cluster.connect()
    client.request("login", 7)
    return client


def code_of(client, name, body=None):
    with pytest.raises(RemoteError) as caught:
        client.request(name, body)
    return caught.value.code


def test_a_command_runs_on_the_node_with_the_session_of_the_gate(player):
    assert player.request("name") == ["player 7", player.request("name")[1], "json"]
    assert moments == ["connect", "login 7"]


def test_commands_of_one_player_start_and_end_in_order(cluster, player):
    asked = [player.ask("number", value) for value in range(1, 200)]
    assert [pending.get(60) for pending in asked] == list(range(1, 200))
    log = [value for _, value in cluster.call("log", by="gate")]
    assert log == [signed for value in range(1, 200) for signed in (value, -value)]


def test_a_slow_player_delays_nobody_else(cluster, player):
    other = cluster.connect()
    other.request("login", 8)
    waiting = player.ask("rest", 5.0)
    assert other.request("rest", 0.01) == 0.01
    assert not waiting.ready
    assert waiting.get() == 5.0


@pytest.mark.parametrize(
    ("how", "code"), [("refuse", "too_far"), ("exit", "internal"), ("timeout", "internal"), ("error", "internal")]
)
def test_whatever_a_handler_raises_is_one_error_answer(player, how, code):
    assert code_of(player, "fail", how) == code
    assert player.request("number", 1) == 1


def test_a_command_that_hangs_is_cut_and_the_next_one_runs(player):
    hanging, following = player.ask("hang"), player.ask("number", 5)
    with pytest.raises(RemoteError, match="timeout"):
        hanging.get(2)
    assert following.get() == 5


def test_pushes_reach_the_group_and_come_before_the_answer(cluster, player):
    other = cluster.connect()
    other.request("login", 8)
    assert player.request("shout", "hello") == [7, 8]
    assert player.pushes[-1].body == [7, "hello"]
    assert other.wait_push("caught") == [7, "hello"]
    other.request("leave_group")
    assert player.request("shout", "again") == [7]


def test_a_push_to_a_player_finds_him_and_one_to_nobody_is_let_go(cluster, player):
    other = cluster.connect()
    other.request("login", 8)
    player.request("elsewhere", 8)
    assert other.wait_push("caught") == "for you"
    player.request("elsewhere", 999)


def test_pushes_go_to_all_to_some_or_to_all_but_some(cluster, player):
    others = [cluster.connect(), cluster.connect()]
    for uid, other in zip((8, 9), others, strict=True):
        other.request("login", uid)
    others[0].request("leave_group")
    assert player.request("announce", [9]) == [7, 8, 9]
    gevent.sleep(0.1)
    got = [[push.body for push in client.pushes] for client in (player, *others)]
    assert got == [["to all", "to the group", "to some"], ["to all"], ["to some"]]


def test_a_push_to_very_many_reaches_each_in_order_and_lets_others_in_between(cluster, player):
    many = [cluster.connect() for _ in range(600)]
    for uid, client in enumerate(many, start=1000):
        client.request("login", uid)
    for number in range(3):
        player.request("shout", str(number))
    gevent.sleep(0.5)
    assert all([push.body[1] for push in client.pushes] == ["0", "1", "2"] for client in many)


def test_a_kick_from_the_node_says_why(player):
    player.ask("kick")
    player.wait_closed()
    assert player.goodbye == "go home"


def test_the_end_of_a_session_reaches_the_node_once_and_after_its_last_command(cluster, player):
    player.ask("rest", 0.5)
    gevent.sleep(0.1)
    player.close()
    gevent.sleep(0.2)
    assert "disconnect 7" not in moments
    gevent.sleep(2)
    assert moments.count("disconnect 7") == 1


def test_after_logout_only_public_commands_run(player):
    player.request("logout")
    assert code_of(player, "number", 1) == "login_first"
    player.request("login", 9)
    assert player.request("number", 1) == 1


def test_while_the_node_is_away_commands_end_unavailable(cluster, player):
    cluster.crash("world")
    assert code_of(player, "number", 1) == "unavailable"
    cluster.restart("world")
    assert player.request("number", 2) == 2
    # The player stayed logged in at the gate: the new process hears of him when he sends his next command.
    assert moments.count("login 7") == 2


def test_commands_in_flight_end_when_their_node_dies(cluster, player):
    asked = [player.ask("rest", 5.0) for _ in range(10)]
    gevent.sleep(0.1)
    cluster.crash("world")
    for pending in asked:
        with pytest.raises(RemoteError) as caught:
            pending.get(1)
        assert caught.value.code == "unavailable"


def test_the_node_finds_a_gate_that_was_started_again(cluster, player):
    cluster.crash("gate")
    player.wait_closed()
    gevent.sleep(1)
    cluster.restart("gate")
    again = cluster.connect()
    assert again.request("login", 7) == 7
    gevent.sleep(1)
    assert moments.count("disconnect 7") == 1


@pytest.mark.parametrize("first", ["gate", "world"])
def test_the_order_of_starting_does_not_matter(first):
    with virtual_time(seed=1), make_cluster() as cluster:
        cluster.start(first, wait=False)
        gevent.sleep(3)
        cluster.start()
        assert cluster.connect().request("login", 1) == 1


def test_before_the_node_has_come_a_command_is_unavailable_and_not_unknown():
    with virtual_time(seed=1), make_cluster() as cluster:
        cluster.start("gate")
        client = cluster.connect()
        assert code_of(client, "login", 1) == "unavailable"
        cluster.start("world")
        assert client.request("login", 1) == 1
        assert code_of(client, "dance") == "unknown_command"


def test_sessions_stick_to_their_node_and_spread_over_several():
    with virtual_time(seed=1), make_cluster(replicas=3) as cluster:
        cluster.start()
        players = [cluster.connect() for _ in range(9)]
        for uid, player in enumerate(players):
            player.request("login", uid)
        homes = [player.request("where") for player in players]
        assert {home: homes.count(home) for home in homes} == {"world-1": 3, "world-2": 3, "world-3": 3}
        assert [player.request("where") for player in players] == homes


def test_a_game_moves_a_session_to_another_node():
    with virtual_time(seed=1), make_cluster(replicas=2) as cluster:
        cluster.start()
        player = cluster.connect()
        player.request("login", 1)
        home = player.request("where")
        other = {"world-1": "world-2", "world-2": "world-1"}[home]
        player.request("move_to", other)
        assert player.request("where") == other
        assert moments == ["connect", "login 1", "connect", "login 1"]


def test_players_of_a_dead_node_play_on_at_another():
    with virtual_time(seed=1), make_cluster(replicas=2) as cluster:
        cluster.start()
        player = cluster.connect()
        player.request("login", 1)
        home = player.request("where")
        cluster.crash(home)
        assert player.request("where") != home
        assert player.request("name")[0] == "player 1"


def test_a_lost_channel_is_not_a_dead_gate(cluster, player):
    assert cluster.network is not None
    player.request("number", 1)
    cluster.kernel("world").mesh.peers["gate-1"].channel.close("cut")
    gevent.sleep(1)
    assert player.request("number", 2) == 2
    assert "disconnect 7" not in moments
    assert moments.count("login 7") == 1


def test_sessions_that_ended_while_the_channel_was_lost_end_on_the_node_too(cluster, player):
    other = cluster.connect()
    other.request("login", 8)
    other.request("number", 1)
    cluster.kernel("world").mesh.peers["gate-1"].channel.close("cut")
    player.close()
    gevent.sleep(2)
    assert moments.count("disconnect 7") == 1
    assert "disconnect 8" not in moments
    assert other.request("number", 2) == 2


def test_after_ten_seconds_without_its_gate_a_session_ends(cluster, player):
    player.request("number", 1)
    cluster.crash("gate")
    gevent.sleep(9)
    assert "disconnect 7" not in moments
    gevent.sleep(2)
    assert moments.count("disconnect 7") == 1


def test_a_draining_node_gets_nobody_new():
    with virtual_time(seed=1), make_cluster(replicas=2) as cluster:
        cluster.start()
        cluster.drain("world-1")
        gevent.sleep(0.1)
        for uid in range(4):
            player = cluster.connect()
            player.request("login", uid)
            assert player.request("where") == "world-2"


def test_by_uid_a_player_always_finds_the_same_node():
    with virtual_time(seed=1), make_cluster(replicas=3, gate='routes = { world = "uid" }') as cluster:
        cluster.start()
        homes = {}
        for _ in range(2):
            for uid in range(12):
                player = cluster.connect()
                player.request("login", uid)
                # Who he is was not known when his first command, the login, needed a node.
                player.request("move_to", None)
                homes.setdefault(uid, set()).add(player.request("where"))
                player.close()
        assert all(len(names) == 1 for names in homes.values())
        assert len(set.union(*homes.values())) == 3


def test_by_least_each_command_goes_where_the_fewest_are_open():
    with virtual_time(seed=1), make_cluster(replicas=2, gate='routes = { world = "least" }') as cluster:
        cluster.start()
        players = [cluster.connect() for _ in range(4)]
        for uid, player in enumerate(players):
            player.request("login", uid)
        pending = [player.ask("rest", 1.0) for player in players]
        gevent.sleep(0.1)
        waiting = [cluster.kernel("gate").mesh.peers[name].pending for name in ("world-1", "world-2")]
        assert waiting == [2, 2]
        assert [one.get() for one in pending] == [1.0] * 4


def test_a_full_node_gets_nobody_new_and_keeps_who_is_there():
    with virtual_time(seed=1), make_cluster(replicas=2, node="max_sessions = 2") as cluster:
        cluster.start()
        players = [cluster.connect() for _ in range(4)]
        for uid, player in enumerate(players):
            player.request("login", uid)
            gevent.sleep(0.05)
        assert sorted(player.request("where") for player in players) == ["world-1", "world-1", "world-2", "world-2"]
        late = cluster.connect()
        assert code_of(late, "login", 9) == "unavailable"
        players[0].close()
        gevent.sleep(0.2)
        late.request("login", 9)
        assert [player.request("number", 1) for player in players[1:]] == [1, 1, 1]
