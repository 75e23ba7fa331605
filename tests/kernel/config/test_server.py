import os

import attrs
import pytest

from firefly_core.kernel.config.problems import Problems
from firefly_core.kernel.config.server import read_servers
from firefly_core.kernel.plugins.plugins import load_plugins

DOOR = {"listen": "tcp://127.0.0.1:1"}


@pytest.fixture
def read(kit, tmp_path):
    plugins = load_plugins(["kit"])

    def read(tables, *, complete=True):
        problems = Problems("f")
        found = read_servers(tables, tmp_path, plugins, problems, complete=complete)
        return found, problems.texts()

    return read


def test_services_keep_the_order_of_the_file(read):
    found, problems = read({"a": {"store": {"database": "sqlite:///x"}, "replicas": 1, "mesh": {}, "door": DOOR}})
    assert problems == []
    assert list(found["a"].services) == ["store", "mesh", "door"]


def test_server_of_handlers_only_has_something_to_do(read):
    found, problems = read({"a": {"handlers": ["game.world"]}})
    assert problems == []
    assert found["a"].handlers == ("game.world",)


def test_process_names_are_numbered_from_one(read):
    found, _ = read({"a": {"replicas": 2, "door": DOOR}})
    assert found["a"].process_names() == ["a-1", "a-2"]


def test_server_whose_service_is_wrong_is_still_given_for_the_checks_that_follow(read):
    found, problems = read({"a": {"handlers": ["game.world"], "door": {}}})
    assert len(problems) == 1
    assert found["a"].handlers == ("game.world",)
    assert dict(found["a"].services) == {}


def test_server_whose_own_keys_are_wrong_is_given_with_what_is_right(read):
    own = {"critical": "yes", "replicas": 3, "handlers": ["a.b", "..x", 5, "c"], "stable": "x"}
    found, problems = read({"a": {**own, "door": DOOR}})
    assert len(problems) == 4
    server = found["a"]
    assert (server.critical, server.replicas, server.handlers, server.stable) == (False, 3, ("a.b", "c"), ())
    assert list(server.services) == ["door"]


def test_unknown_table_may_be_a_service_of_a_plugin_that_failed(read):
    assert read({"a": {"unknown": {}}}, complete=False)[1] == []
    assert len(read({"a": {"unknown": {}}})[1]) == 1
    assert len(read({"a": {"unknown": 5}}, complete=False)[1]) == 1
    assert len(read({"a": {"dor": {}}}, complete=False)[1]) == 1


def test_services_of_a_server_cannot_be_changed(read):
    found, _ = read({"a": {"door": DOOR}})
    with pytest.raises(TypeError):
        found["a"].services["x"] = 1


@pytest.mark.parametrize(
    ("replicas", "cpus", "dealt"),
    [
        (1, (), [set()]),
        (1, (0, 1), [{0, 1}]),
        (2, (0, 1), [{0}, {1}]),
        (2, (0, 1, 2, 3), [{0, 2}, {1, 3}]),
        (3, (0, 1), [{0}, {1}, {0}]),
    ],
)
def test_processors_are_dealt_to_the_replicas_in_turn(read, replicas, cpus, dealt):
    found, _ = read({"a": {"replicas": replicas, "door": DOOR}})
    server = attrs.evolve(found["a"], cpus=cpus)
    assert [server.cpus_of(replica) for replica in range(1, replicas + 1)] == dealt


def test_a_processor_that_is_not_there_is_told(read):
    mine = min(os.sched_getaffinity(0))
    found, problems = read({"a": {"cpus": [mine], "door": DOOR}})
    assert (found["a"].cpus, problems) == ((mine,), [])
    _, (problem,) = read({"a": {"cpus": [4095], "door": DOOR}})
    assert "needs a processor that Firefly may use here" in problem
