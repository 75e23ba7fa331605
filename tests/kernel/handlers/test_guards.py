"""Guards on the decorator: who may send a command, how often, and about what."""

import gevent
import pytest

from firefly_core import command
from firefly_core.errors import ConfigurationError, RemoteError
from firefly_core.kernel.handlers.handlers import collect
from firefly_core.testing import InProcessCluster, virtual_time

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
[servers.other.node]
roots = ["gate"]
"""
HEROES = {1: 7, 2: 8}
runs = []


@command(1, public=True)
def login(ctx, uid: int, /):
    ctx.session.bind(uid)


@command(2, rate="3/s")
def catch(ctx):
    return "caught"


@command(3, roles=("gm", "admin"))
def ban(ctx):
    return "banned"


@command(4, public=True)
def become(ctx, roles: list[str]):
    ctx.session.data["roles"] = roles


@command(5, owner=lambda ctx, hero: HEROES[hero])
def rename(ctx, hero: int):
    return f"renamed {hero}"


@command(6, idempotent=True)
def look(ctx):
    runs.append(ctx._kernel.name)
    gevent.sleep(1)
    return ctx._kernel.name


@command(7)
def hit(ctx):
    runs.append(ctx._kernel.name)
    gevent.sleep(1)


@command(8)
def plant(ctx, seconds: float):
    ctx.session.after(seconds, grow, "rose")


def grow(ctx, flower):
    runs.append(flower)
    gevent.sleep(0.5)
    ctx.session.push(2001, f"{flower} for {ctx.uid}")


@command(9)
def nap(ctx, seconds: float):
    runs.append("nap")
    gevent.sleep(seconds)
    runs.append("awake")


@command(10)
def plant_many(ctx):
    for _ in range(65):
        ctx.session.after(1.0, grow, "weed")


HANDLERS = [login, catch, ban, become, rename, look, hit, plant, nap, plant_many]


@pytest.fixture(params=["gate", "world"])
def player(request):
    with virtual_time(seed=1), InProcessCluster(TOML, handlers={request.param: HANDLERS}) as cluster:
        cluster.start()
        client = cluster.connect()
        client.request("login", 7)
        yield client


def code_of(client, name, body=None):
    with pytest.raises(RemoteError) as caught:
        client.request(name, body)
    return caught.value.code


def test_a_command_over_its_rate_is_answered_so_and_later_runs_again(player):
    assert [player.request("catch") for _ in range(3)] == ["caught"] * 3
    assert code_of(player, "catch") == "rate_limited"
    gevent.sleep(0.4)
    assert player.request("catch") == "caught"
    assert code_of(player, "catch") == "rate_limited"


def test_a_command_for_a_role_is_forbidden_to_others(player):
    assert code_of(player, "ban") == "forbidden"
    player.request("become", ["player"])
    assert code_of(player, "ban") == "forbidden"
    player.request("become", ["player", "gm"])
    assert player.request("ban") == "banned"


def test_what_belongs_to_another_player_is_forbidden(player):
    assert player.request("rename", 1) == "renamed 1"
    assert code_of(player, "rename", 2) == "forbidden"
    assert code_of(player, "rename", 3) == "internal"


def test_a_timer_of_a_session_runs_between_its_commands(player):
    runs.clear()
    player.request("plant", 1.0)
    player.ask("nap", 2.0)
    following = player.ask("catch")
    assert player.wait_push(2001) == "rose for 7"
    assert following.get() == "caught"
    assert runs == ["nap", "awake", "rose"]
    player.request("plant", 0.0)
    assert player.wait_push(2001) == "rose for 7"


def test_a_timer_ends_with_its_session(player):
    runs.clear()
    player.request("plant", 1.0)
    player.close()
    gevent.sleep(3)
    assert runs == []


def test_a_session_has_so_many_timers_and_no_more(player):
    assert code_of(player, "plant_many") == "internal"
    assert player.request("catch") == "caught"


def test_an_idempotent_command_goes_to_another_node_when_its_node_dies():
    runs.clear()
    with virtual_time(seed=1), InProcessCluster(TOML, handlers={"world": HANDLERS, "other": HANDLERS}) as cluster:
        cluster.start()
        client = cluster.connect()
        client.request("login", 7)
        asked = client.ask("look")
        cluster.wait(lambda: runs)
        cluster.crash(runs[0])
        assert asked.get() != runs[0]
        asked = client.ask("hit")
        runs.clear()
        cluster.wait(lambda: runs)
        cluster.crash(runs[0])
        with pytest.raises(RemoteError, match="unavailable"):
            asked.get()
        assert len(runs) == 1


@pytest.mark.parametrize("guard", [{"roles": "gm"}, {"roles": [7]}, {"owner": "me"}])
def test_a_guard_that_is_none_is_a_problem(guard):
    from types import ModuleType

    module = ModuleType("game")
    module.handler = command(1, **guard)(lambda ctx: None)
    with pytest.raises(ConfigurationError, match=next(iter(guard))):
        collect([module])
