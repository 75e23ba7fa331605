"""Players who have something in common come to the same process."""

import pytest

from firefly_core import command
from firefly_core.errors import ConfigurationError
from firefly_core.testing import InProcessCluster, ServiceContract, virtual_time

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols", "together"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
rate = "off"
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.gate.together.by]
arena = "match"
[servers.arena]
replicas = 3
[servers.arena.node]
roots = ["gate"]
max_sessions = 20
"""


@command(1, public=True)
def login(ctx, uid: int):
    ctx.session.bind(uid)


@command(2)
def enter(ctx, match: str):
    ctx.session.data["match"] = match
    ctx.session.route("arena", None)


@command(3)
def where(ctx):
    return ctx._kernel.name


class TestTogether(ServiceContract):
    service = "together"
    declaration = TOML


@pytest.fixture
def cluster():
    handlers = {"gate": [login, enter], "arena": [where]}
    with virtual_time(seed=1), InProcessCluster(TOML, handlers=handlers) as cluster:
        cluster.start()
        yield cluster


def player(cluster, uid, match=None):
    client = cluster.connect()
    client.request("login", uid)
    if match is not None:
        client.request("enter", match)
    return client


def test_who_plays_one_match_is_at_one_process_and_matches_are_spread(cluster):
    places = {}
    for uid in range(30):
        match = f"match {uid % 10}"
        places.setdefault(match, set()).add(player(cluster, uid, match).request("where"))
    assert all(len(found) == 1 for found in places.values())
    assert {process for found in places.values() for process in found} == {"arena-1", "arena-2", "arena-3"}


def test_who_goes_over_to_another_match_goes_to_its_process(cluster):
    homes = {match: player(cluster, number, match).request("where") for number, match in enumerate("abcdefgh")}
    client = player(cluster, 100)
    for match, home in homes.items():
        client.request("enter", match)
        assert client.request("where") == home
        assert client.request("where") == home


def test_who_has_nothing_in_common_is_placed_as_without_it(cluster):
    assert {player(cluster, uid).request("where") for uid in range(3)} == {"arena-1", "arena-2", "arena-3"}
    assert cluster.kernel("gate").services["together"].statistics() == {"chosen_total": 0}


def test_when_their_process_is_full_or_away_they_find_another_one(cluster):
    home = player(cluster, 0, "final").request("where")
    for uid in range(1, 20):
        assert player(cluster, uid, "final").request("where") == home
    late = {player(cluster, uid, "final").request("where") for uid in (20, 21, 22)}
    assert len(late) == 1
    assert home not in late
    cluster.crash(home)
    cluster.wait(lambda: len(cluster.kernel("gate").mesh.peers) == 3)
    assert {player(cluster, uid, "final").request("where") for uid in (30, 31)} == late


def test_a_table_that_names_nobody_is_refused():
    with pytest.raises(ConfigurationError, match="no server 'arenas'; did you mean \"arena\""):
        InProcessCluster(TOML.replace('arena = "match"', 'arenas = "match"'))
    with pytest.raises(ConfigurationError, match="no gate"):
        InProcessCluster(TOML + '[servers.arena.together]\nby = { arena = "match" }\n')
