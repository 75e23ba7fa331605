"""The admin sees every server, connected or one relay away, and notices who comes and goes."""

from __future__ import annotations

import gevent

from firefly_core import command


def servers(desk):
    return {server["name"]: server for server in desk.get("/api/topology").json["servers"]}


def test_a_node_is_seen_through_its_root_and_a_root_directly(desk):
    seen = servers(desk)
    assert {name: server["state"] for name, server in seen.items()} == {
        "gate-1": "up",
        "world-1": "up",
        "admin-1": "up",
    }
    assert {name: server["via"] for name, server in seen.items()} == {
        "gate-1": None,
        "world-1": "gate-1",
        "admin-1": None,
    }
    assert seen["world-1"]["about"]["services"] == ["node"]
    assert seen["gate-1"]["about"]["listens"][0]["url"] == "tcp://127.0.0.1:11009"
    assert set(desk.cluster.kernel("world").mesh.peers) == {"gate-1"}


def test_rates_and_figures_follow_the_players(desk):
    ada = desk.enter("ada")
    for _ in range(20):
        ada.request("echo", 1)
    desk.look()
    seen = servers(desk)
    assert seen["gate-1"]["statistics"]["gate"]["sessions"] == 1
    desk.wait(
        lambda: any(
            s["servers"]["world-1"]["commands"] > 0
            for s in desk.get("/api/history").json["samples"]
            if "world-1" in s["servers"]
        ),
        "a rate",
    )
    (echo,) = [each for each in desk.get("/api/commands").json["handlers"] if each["name"] == "echo"]
    assert (echo["runs"], echo["id"], list(echo["servers"])) == (20, 2, ["world-1"])
    assert 0 < echo["p50"] <= echo["p99"] < 1


def test_channels_are_told_once_each(desk):
    channels = desk.get("/api/topology").json["channels"]
    assert sorted(tuple(channel["between"]) for channel in channels) == [("admin-1", "gate-1"), ("gate-1", "world-1")]
    assert all(channel["connected"] for channel in channels)


def test_a_server_that_dies_is_down_and_up_again_when_it_is_back(desk):
    desk.cluster.crash("world")
    desk.wait(lambda: servers(desk)["world-1"]["state"] == "down", "down")
    channels = {
        tuple(channel["between"]): channel["connected"] for channel in desk.get("/api/topology").json["channels"]
    }
    assert channels["gate-1", "world-1"] is False
    ready = desk.ask("GET", "/readyz")
    assert (ready.status, ready.json["servers"]["world-1"]) == (503, "down")
    assert desk.ask("GET", "/healthz").status == 200
    assert b'firefly_up{server="world-1"} 0.0' in desk.ask("GET", "/metrics").body
    desk.cluster.restart("world")
    desk.wait(lambda: servers(desk)["world-1"]["state"] == "up", "up")
    assert servers(desk)["world-1"]["about"]["epoch"] == 2
    assert desk.ask("GET", "/readyz").status == 200


def test_with_the_gate_the_world_behind_it_is_out_of_sight(desk):
    desk.cluster.crash("gate")
    desk.wait(
        lambda: (
            {name: s["state"] for name, s in servers(desk).items()}
            == {"gate-1": "down", "world-1": "down", "admin-1": "up"}
        ),
        "both away",
    )
    assert desk.get("/api/sessions").json == {"total": 0, "sessions": []}
    desk.cluster.restart("gate")
    desk.wait(lambda: all(server["state"] == "up" for server in servers(desk).values()), "all up")


def test_a_change_is_seen_before_the_next_look_is_due(make_desk):
    desk = make_desk("interval = 60.0", toml=SLOW)
    looks = desk.admin.survey.looks
    desk.cluster.crash("gate")
    desk.wait(lambda: desk.admin.survey.looks > looks, "a look")


SLOW = """
[firefly]
plugins = ["gate", "root", "node", "protocols", "admin"]
[servers.gate.gate]
listen = {{ url = "tcp://127.0.0.1:11009", protocol = "json" }}
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.node]
roots = ["gate"]
[servers.admin.admin]
listen = "http://127.0.0.1:0"
{token}
{keys}
"""

APART = SLOW.replace("[servers.admin.admin]", '[servers.lonely]\nhandlers = ["json.tool"]\n[servers.admin.admin]')


def test_a_server_that_nothing_connects_is_apart_as_long_as_the_supervisor_calls_it_ready(make_desk):
    class Supervisor:
        state = "ready"

        def ask(self, what, *, timeout):
            return {
                "supervisor": {"state": "ready"},
                "processes": [{"name": "lonely-1", "state": self.state, "ending": None}],
            }

    @command(1)
    def nothing(ctx):
        return None

    desk = make_desk(toml=APART, handlers={"lonely": [nothing]}, wait=False)
    desk.wait(lambda: servers(desk)["lonely-1"]["state"] == "down", "nobody knows of it")
    supervisor = desk.cluster.kernel("admin").supervisor = Supervisor()
    desk.look()
    assert servers(desk)["lonely-1"]["state"] == "apart"
    supervisor.state = "fatal"
    desk.look()
    assert servers(desk)["lonely-1"]["state"] == "fatal"


def test_a_look_that_fails_is_logged_and_the_next_one_comes(desk, monkeypatch, caplog):
    monkeypatch.setattr(desk.admin.survey, "_ways", None)
    desk.wait(lambda: desk.admin.survey.failed, "a failure")
    assert "a look at the cluster failed" in caplog.text
    monkeypatch.undo()
    looks = desk.admin.survey.looks
    desk.wait(lambda: desk.admin.survey.looks > looks, "the next look")


def test_samples_are_bounded(make_desk):
    desk = make_desk("history = 10")
    for _ in range(15):
        desk.look()
    assert len(desk.get("/api/history").json["samples"]) == 10


def test_requests_make_no_look(make_desk):
    desk = make_desk("interval = 60.0", toml=SLOW)
    gevent.sleep(0.5)  # the looks that the start has called for
    looks = desk.admin.survey.looks
    for _ in range(30):
        for path in ["/api/topology", "/metrics", "/readyz", "/api/commands", "/api/history"]:
            desk.get(path)
    assert desk.admin.survey.looks <= looks + 1
