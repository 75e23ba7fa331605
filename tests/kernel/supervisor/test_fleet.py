"""What another plan means for the processes of this one."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace

import pytest

from firefly_core.kernel.supervisor.child import State
from firefly_core.kernel.supervisor.equipment import Equipment
from firefly_core.kernel.supervisor.fleet import Fleet
from firefly_core.kernel.supervisor.log import Log
from firefly_core.kernel.supervisor.plan import Address, Plan, ServerPlan


def server(name: str, fingerprint: str = "1", **more: object) -> ServerPlan:
    return ServerPlan(name=name, fingerprint=fingerprint, **more)  # type: ignore[arg-type]


def plan(*servers: ServerPlan) -> Plan:
    return Plan(name="meadow", path="/m/firefly.toml", var="/m/var", servers=servers)


def address(port: int) -> Address:
    return Address(key="k", url=f"tcp://127.0.0.1:{port}", host="127.0.0.1", port=port)


@pytest.fixture
def fleet():
    loop = SimpleNamespace(now=lambda: 0.0)
    nothing = SimpleNamespace()
    equipment = Equipment(
        loop=loop,  # type: ignore[arg-type]
        log=Log(nothing),  # type: ignore[arg-type]
        reaper=nothing,  # type: ignore[arg-type]
        groups=nothing,  # type: ignore[arg-type]
        listeners=nothing,  # type: ignore[arg-type]
        epochs=nothing,  # type: ignore[arg-type]
        command=lambda name: [name],
    )
    first = plan(server("gate", door=True, held=(address(1),)), server("world", replicas=2), server("old"))
    made = Fleet(equipment, first, lambda child: None, lambda child, question: None)
    for child in made:
        child.state = State.READY
    return made


def names(stages):
    return [([child.name for child in stage.stop], [child.name for child in stage.start]) for stage in stages]


def test_processes_are_named_by_server_and_number(fleet):
    assert [child.name for child in fleet] == ["gate-1", "world-1", "world-2", "old-1"]
    assert fleet.get("world-2").server.name == "world"
    assert [fleet.get(name) for name in ("world", "world-3", None, 7, ["world-1"])] == [None] * 5


def test_only_what_is_declared_differently_is_touched_one_at_a_time(fleet):
    gate = fleet.get("gate-1")
    second = plan(server("gate", door=True, held=(address(1),)), server("world", "2", replicas=2), server("new"))
    stages = fleet.adopt(second)
    assert names(stages) == [
        (["old-1"], []),
        (["world-1"], ["world-1"]),
        (["world-2"], ["world-2"]),
        ([], ["new-1"]),
    ]
    assert fleet.get("gate-1") is gate
    assert [child.name for child in fleet] == ["gate-1", "world-1", "world-2", "new-1"]


def test_the_same_plan_tries_only_those_that_had_given_up(fleet):
    fleet.get("world-2").state = State.FATAL
    assert names(fleet.adopt(fleet.plan))[-1] == ([], ["world-2"])
    assert not any(stop for stop, _ in names(fleet.adopt(fleet.plan)))


def test_an_address_that_moves_stops_everything_that_changes_before_it_starts_anything(fleet):
    second = plan(server("gate", "2"), server("world", "2", replicas=2, held=(address(1),)))
    assert names(fleet.adopt(second)) == [(["old-1", "gate-1", "world-1", "world-2"], ["gate-1", "world-1", "world-2"])]


def test_whoever_is_leaving_is_stopped_with_the_others_as_long_as_he_runs(fleet):
    old = fleet.get("old-1")
    fleet.adopt(plan(server("world", replicas=2)))
    old.pid = 7
    assert [[child.name for child in wave] for wave in fleet.stop_waves()] == [["old-1"], ["world-1", "world-2"]]
    old.pid = None
    assert [child.name for wave in fleet.stop_waves() for child in wave] == ["world-1", "world-2"]


@pytest.mark.parametrize("fingerprint", ["1", "2"])
def test_who_was_stopped_by_somebody_stays_away_over_a_reload_and_who_gave_up_does_not(fleet, fingerprint):
    fleet.get("world-1").state = State.STOPPED
    fleet.get("old-1").state = State.FATAL
    newer = plan(server("gate", door=True, held=(address(1),)), server("world", fingerprint, replicas=2), server("old"))
    started = [name for _, names_of_it in names(fleet.adopt(newer)) for name in names_of_it]
    assert started == (["old-1"] if fingerprint == "1" else ["world-2", "old-1"])
    assert fleet.get("world-1").server.fingerprint == fingerprint


def test_all_ready_and_all_over_count_every_process(fleet):
    assert fleet.all_ready()
    assert not fleet.all_over()
    fleet.get("world-2").state = State.WAITING
    assert not fleet.all_ready()
    for child in fleet:
        child.state = State.FATAL
    assert fleet.all_over()
    fleet.get("world-2").state = State.WAITING
    assert not fleet.all_over()


def test_a_new_address_that_somebody_has_is_an_obstacle_and_an_own_one_is_none(fleet):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = address(stranger.getsockname()[1])
        assert fleet.obstacles(plan(server("gate", held=(address(1),)))) == []
        (problem,) = fleet.obstacles(plan(server("gate", held=(taken,))))
    assert f"pid {os.getpid()}" in problem


def test_another_folder_for_what_is_kept_needs_a_new_start(fleet):
    moved = Plan(name="meadow", path="/m/firefly.toml", var="/elsewhere", servers=fleet.plan.servers)
    assert "need a new start" in fleet.obstacles(moved)[0]
