"""Plans travel as JSON, and know in which order their servers stop."""

from __future__ import annotations

import pytest

from firefly_core.kernel.supervisor.plan import Address, Plan, ServerPlan, stop_waves


def server(name: str, *needs: str, door: bool = False) -> ServerPlan:
    return ServerPlan(name=name, fingerprint="1", needs=needs, door=door)


def test_a_plan_reads_back_as_it_was():
    address = Address(key="servers.gate.gate.listen", url="tcp://127.0.0.1:11009", host="127.0.0.1", port=11009)
    gate = ServerPlan(name="gate", fingerprint="1", replicas=2, door=True, held=(address,))
    plan = Plan(name="meadow", path="/m/firefly.toml", var="/m/var", servers=(gate, server("world", "gate")))
    assert Plan.decode(plan.encode()) == plan
    assert plan.process_names() == ["gate-1", "gate-2", "world-1"]
    assert plan.addresses() == [address]


@pytest.mark.parametrize("text", [b"", b"{}", b"null", b'{"name": 1}'])
def test_what_is_no_plan_is_an_error(text):
    with pytest.raises(ValueError, match=r"."):
        Plan.decode(text)


def test_doors_stop_first_and_nobody_before_those_who_need_him():
    servers = [server("db"), server("gate", door=True), server("world", "gate", "db"), server("ranking", "db")]
    assert stop_waves(servers) == [["gate"], ["world", "ranking"], ["db"]]


def test_a_ring_of_servers_that_need_each_other_is_opened_at_the_last_of_the_file():
    assert stop_waves([server("a", "b"), server("b", "c"), server("c", "a")]) == [["c"], ["a"], ["b"]]


def test_a_server_that_names_itself_is_no_ring():
    assert stop_waves([server("a", "a"), server("b", "a")]) == [["b"], ["a"]]
