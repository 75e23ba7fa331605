"""What the supervisor is told of a firefly.toml."""

from __future__ import annotations

from firefly_core.kernel.config.cluster import load
from firefly_core.kernel.supervisor.cluster_plan import plan_of

FILE = """
[firefly]
name = "meadow"
plugins = ["gate", "root", "node", "protocols", "web"]
log = "json"
drain_timeout = 3.0
[servers.gate]
replicas = 2
[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:21009", protocol = "datapack", codec = "json" },
  { url = "ws://127.0.0.1:21010/", protocol = "json" },
]
[servers.gate.root]
listen = "tcp://127.0.0.1:21000"
[servers.page.web]
listen = "http://127.0.0.1:28000"
static = "."
[servers.world]
critical = true
[servers.world.node]
roots = ["gate"]
"""


def made(tmp_path, text=FILE):
    path = tmp_path / "firefly.toml"
    path.write_text(text)
    return plan_of(load(path, environ={}))


def test_it_says_what_runs_where(tmp_path):
    plan = made(tmp_path)
    gate, page, world = plan.servers
    assert (plan.name, plan.json_log, plan.drain_timeout, plan.secret) == ("meadow", True, 3.0, False)
    assert plan.process_names() == ["gate-1", "gate-2", "page-1", "world-1"]
    assert (plan.path, plan.var) == (str(tmp_path / "firefly.toml"), str(tmp_path / "var"))
    assert plan.source == FILE
    assert plan.pages == ("http://127.0.0.1:28000/",)
    assert (gate.door, page.door, world.door) == (True, True, False)
    assert (gate.needs, world.needs) == ((), ("gate",))
    assert (gate.critical, world.critical) == (False, True)


def test_doors_for_clients_are_held_and_a_root_has_a_port_a_replica_of_its_own(tmp_path):
    gate, page, world = made(tmp_path).servers
    assert [(each.url, each.port, each.replica) for each in gate.held] == [
        ("tcp://127.0.0.1:21009", 21009, 0),
        ("ws://127.0.0.1:21010/", 21010, 0),
    ]
    assert [(each.port, each.replica) for each in gate.own] == [(21000, 1), (21001, 2)]
    assert [each.key for each in page.own] == ["servers.page.web.listen"]
    assert world.held == world.own == ()


def test_a_fingerprint_follows_the_own_tables_those_of_needed_servers_and_firefly(tmp_path):
    def changed(old, new):
        before, after = made(tmp_path), made(tmp_path, FILE.replace(old, new))
        pairs = zip(before.servers, after.servers, strict=True)
        return [one.name for one, other in pairs if one.fingerprint != other.fingerprint]

    assert changed('name = "meadow"', 'name = "meadow"  # the same') == []
    assert changed("28000", "28001") == ["page"]
    assert changed("critical = true", "critical = false") == ["world"]
    assert changed("21000", "21005") == ["gate", "world"]
    assert changed("3.0", "4.0") == ["gate", "page", "world"]


def test_a_configured_secret_is_known_to_be_there_and_is_nowhere_in_the_plan(tmp_path):
    path = tmp_path / "firefly.toml"
    path.write_text(FILE.replace('log = "json"', 'secret = "${SECRET}"'))
    plan = plan_of(load(path, environ={"SECRET": "a-canary-in-the-coal-mine"}))
    assert plan.secret
    assert b"canary" not in plan.encode()


def test_when_a_process_is_given_up_is_said_in_the_file(tmp_path):
    def limits(value):
        plan = made(tmp_path, FILE.replace('log = "json"', f"give_up = {value}"))
        return plan.failures, plan.window

    assert (made(tmp_path).failures, made(tmp_path).window) == (5, 60.0)
    assert limits('"20/10min"') == (20, 600.0)
    assert limits('"off"') == (None, 60.0)
