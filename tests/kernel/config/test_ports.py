import types

import pytest

from firefly_core.kernel.config.config import config, key, listeners, optional, text
from firefly_core.kernel.config.ports import check_ports
from firefly_core.kernel.config.problems import Problems
from firefly_core.kernel.plugins.plugins import Plugins


@config
class Shared:
    listen: tuple | None = key(optional(listeners("tcp")), "where", default=None)
    other: str = key(text(), "no listener", default="x")


@config
class Spread:
    listen: tuple = key(listeners("tcp", spread=True), "where")


def server(name, replicas=1, shared=None, spread=None):
    table = {}
    if shared:
        table["door"] = {"listen": shared}
    if spread:
        table["root"] = {"listen": spread}
    return name, replicas, table


def clashes(*servers):
    problems = Problems("f")
    plugins = Plugins()
    plugins.services.update(door=types.SimpleNamespace(Config=Shared), root=types.SimpleNamespace(Config=Spread))
    tables = {name: table for name, _, table in servers}
    check_ports(tables, {name: replicas for name, replicas, _ in servers}, plugins, problems)
    return problems.texts()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp://127.0.0.1:1", "tcp://127.0.0.1:1"),
        ("tcp://127.0.0.1:1", "tcp://localhost:1"),
        ("tcp://0.0.0.0:1", "tcp://127.0.0.1:1"),
        ("tcp://10.0.0.1:1", "tcp://0.0.0.0:1"),
        ("tcp://[::]:1", "tcp://[::1]:1"),
        ("tcp://[::]:1", "tcp://0.0.0.0:1"),
    ],
)
def test_one_address_for_two_is_told(one, other):
    (problem,) = clashes(server("a", shared=one), server("b", shared=other))
    assert problem == (
        "f: servers.b.door.listen: got port 1 for b-1; needs a port of its own: "
        "servers.a.door.listen listens there already (a-1)"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2"),
        ("tcp://127.0.0.1:1", "tcp://127.0.0.2:1"),
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"),
    ],
)
def test_different_addresses_are_fine(one, other):
    assert clashes(server("a", shared=one), server("b", shared=other)) == []


def test_two_listeners_of_one_service_on_one_port_are_told():
    (problem,) = clashes(server("a", shared=["tcp://127.0.0.1:1", "tcp://127.0.0.1:1"]))
    assert "servers.a.door.listen[1]" in problem


def test_replicas_share_one_port():
    assert clashes(server("a", replicas=4, shared="tcp://127.0.0.1:1"), server("b", shared="tcp://127.0.0.1:2")) == []


def test_replicas_that_spread_take_a_port_each():
    (problem,) = clashes(server("a", replicas=4, spread="tcp://127.0.0.1:10"), server("b", shared="tcp://127.0.0.1:12"))
    assert problem == (
        "f: servers.b.door.listen: got port 12 for b-1; needs a port of its own: "
        "servers.a.root.listen listens there already (a-3)"
    )


def test_replica_that_runs_into_another_service_is_named():
    (problem,) = clashes(server("b", shared="tcp://127.0.0.1:12"), server("a", replicas=4, spread="tcp://127.0.0.1:10"))
    assert "got port 12 for a-3" in problem


def test_ports_beyond_the_last_are_told():
    (problem,) = clashes(server("a", replicas=3, spread="tcp://127.0.0.1:65534"))
    assert problem == "f: servers.a.root.listen: got port 65536; needs a port that leaves room for every replica"


def test_service_that_listens_nowhere_takes_no_port():
    assert (
        clashes(("a", 1, {"door": {}}), ("b", 1, {"door": {"other": "x"}, "unknown": {"listen": 5}, "root": 5})) == []
    )


def test_wrong_listeners_do_not_hide_the_ports_of_the_right_ones():
    (problem,) = clashes(server("a", shared=["nonsense", "tcp://127.0.0.1:1"]), server("b", shared="tcp://127.0.0.1:1"))
    assert problem.startswith("f: servers.b.door.listen: got port 1 for b-1; ")
    assert "servers.a.door.listen[1] listens there already" in problem


def test_what_is_no_table_takes_no_port():
    assert clashes(("a", 1, 5)) == []
