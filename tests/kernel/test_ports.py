import pytest

from firefly_core.kernel.config import config, key, listeners, optional, read_alone, text
from firefly_core.kernel.ports import check_ports
from firefly_core.kernel.problems import Problems
from firefly_core.kernel.server import Server


@config
class Shared:
    listen: tuple | None = key(optional(listeners("tcp")), "where", default=None)
    other: str = key(text(), "no listener", default="x")


@config
class Spread:
    listen: tuple = key(listeners("tcp", spread=True), "where")


def server(name, replicas=1, shared=None, spread=None):
    services = {}
    if shared:
        services["door"] = read_alone(Shared, {"listen": shared})
    if spread:
        services["root"] = read_alone(Spread, {"listen": spread})
    return Server(name=name, replicas=replicas, handlers=(), critical=False, reload=(), stable=(), services=services)


def clashes(*servers):
    problems = Problems("f")
    check_ports({each.name: each for each in servers}, problems)
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
        "f: servers.b.door.listen[0]: got port 1 for b-1; needs a port of its own: "
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
        "f: servers.b.door.listen[0]: got port 12 for b-1; needs a port of its own: "
        "servers.a.root.listen listens there already (a-3)"
    )


def test_replica_that_runs_into_another_service_is_named():
    (problem,) = clashes(server("b", shared="tcp://127.0.0.1:12"), server("a", replicas=4, spread="tcp://127.0.0.1:10"))
    assert "got port 12 for a-3" in problem


def test_ports_beyond_the_last_are_told():
    (problem,) = clashes(server("a", replicas=3, spread="tcp://127.0.0.1:65534"))
    assert problem == "f: servers.a.root.listen[0]: got port 65536; needs a port that leaves room for every replica"


def test_service_that_listens_nowhere_takes_no_port():
    quiet = Server(name="q", replicas=1, handlers=(), critical=False, reload=(), stable=(), services={"door": Shared()})
    assert clashes(quiet) == []
