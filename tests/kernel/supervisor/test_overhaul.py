"""New code for processes that run: tried by one of each server, then taken by all, or by nobody."""

import signal

import pytest

from firefly_core.kernel.supervisor.control_socket import socket_path
from firefly_core.kernel.supervisor.inquiry import ask

GOOD = {"problems": [], "taken": True}
BAD = {"problems": ["game/world.py:3: no such luck"], "taken": False}


@pytest.fixture
def started(house):
    def start(behaviour=None, servers=None, **plan):
        house.behave(behaviour or {})
        house.declare(servers or {"gate": {}, "world": {"code": True, "replicas": 2}}, **plan)
        house.start()
        house.wait_ready()
        return house

    return start


def reload(house, **values):
    return ask(socket_path(house.folder / "var", house.folder / "firefly.toml"), "reload", timeout=40, **values)


def orders(house):
    return [(event["name"], event["dry_run"], event["force"]) for event in house.events("reload")]


def test_one_of_each_server_tries_it_then_all_take_it(started):
    house = started()
    told = reload(house)
    assert (told["taken"], told["problems"]) == (True, [])
    assert sorted(told["processes"]) == ["world-1", "world-2"]
    assert orders(house) == [("world-1", True, False), ("world-1", False, False), ("world-2", False, False)]


def test_a_problem_of_one_changes_nothing_anywhere(started):
    house = started({"lobby-1": {"report": BAD}}, {"world": {"code": True}, "lobby": {"code": True}})
    told = reload(house)
    assert (told["taken"], told["problems"]) == (False, BAD["problems"])
    assert {dry for _, dry, _ in orders(house)} == {True}
    house.wait_log("the new code is refused, the old one stays in force")


def test_a_dry_run_only_tries(started):
    house = started()
    told = reload(house, dry_run=True)
    assert (told["taken"], told["problems"]) == (False, [])
    assert orders(house) == [("world-1", True, False)]


def test_only_the_one_that_is_named_and_by_force(started):
    house = started()
    told = reload(house, name="world-2", force=True)
    assert (told["taken"], list(told["processes"])) == (True, ["world-2"])
    assert orders(house) == [("world-2", True, True), ("world-2", False, True)]


def test_a_file_with_problems_stops_it_before_anybody_tries(started):
    house = started()
    (house.folder / "problems").write_text("firefly.toml:1: nonsense\n")
    assert reload(house, name="world")["problems"] == ["firefly.toml:1: nonsense"]
    assert orders(house) == []


def test_one_that_dies_of_it_is_a_problem_and_starts_again(started):
    house = started({"world-1": {"dies_of_reload": True}}, {"world": {"code": True}})
    assert reload(house)["problems"] == ["world-1 has ended"]
    house.wait(lambda: len(house.events("ready", "world-1")) == 2)


def test_one_that_is_not_there_is_left_out(started):
    house = started({"world-2": {"dies_after": 0.2, "dies_with": 70}})
    house.wait_log("world-2 gave up")
    assert list(reload(house)["processes"]) == ["world-1"]


def test_sighup_takes_new_code_and_a_new_file_and_starts_only_what_the_file_changes(started):
    house = started(servers={"gate": {}, "world": {"code": True}, "lobby": {"code": True}})
    house.declare({"gate": {}, "world": {"code": True}, "lobby": {"code": True, "fingerprint": "2"}})
    house.process.send_signal(signal.SIGHUP)
    house.wait(lambda: len(house.events("ready", "lobby-1")) == 2)
    house.wait_log("the new configuration is in force")
    assert orders(house) == [("world-1", True, False), ("world-1", False, False)]
    assert len(house.events("begin", "world-1")) == 1


def test_bad_code_keeps_a_new_file_from_being_taken(started):
    house = started({"world-1": {"report": BAD}}, {"gate": {}, "world": {"code": True}})
    house.declare({"gate": {"fingerprint": "2"}, "world": {"code": True}})
    assert reload(house)["taken"] is False
    assert len(house.events("begin", "gate-1")) == 1


def test_the_version_that_runs_is_in_the_status(started):
    house = started({"world-1": {"code": {"hash": "abc"}}}, {"world": {"code": True}})
    status = ask(socket_path(house.folder / "var", house.folder / "firefly.toml"), "status", timeout=10)
    assert status["processes"][0]["code"] == {"hash": "abc"}
    reload(house)
    status = ask(socket_path(house.folder / "var", house.folder / "firefly.toml"), "status", timeout=10)
    assert status["processes"][0]["code"] == {"hash": "new"}
