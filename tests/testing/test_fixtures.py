"""`pytest -p firefly_core.testing` in a project of its own."""

import subprocess
import sys

import pytest

CONFTEST = """
import threading  # as a plugin or a conftest of the user's might
from gevent import monkey

PATCHED = [monkey.is_module_patched(name) for name in ("threading", "socket", "time", "ssl", "queue", "select")]
"""
GAME = """
from firefly_core import command, push

caught = push(2003, name="caught")


@command(101, public=True)
def login(ctx, name: str) -> str:
    ctx.session.bind(name)
    ctx.session.push(caught, 1)
    return "hello " + name
"""
TOML = """
[firefly]
name = "game"
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world]
handlers = ["game"]
[servers.world.node]
roots = ["gate"]
"""
TESTS = """
from pathlib import Path

import gevent

import conftest
import game


def test_everything_was_patched_before_the_conftest():
    assert conftest.PATCHED == [True] * 6


def test_a_handler_is_a_plain_function(firefly_context):
    ctx = firefly_context()
    assert game.login(ctx, "ann") == "hello ann"
    assert ctx.pushed(game.caught) == [1]


def test_an_hour_passes_at_once(virtual_time):
    gevent.sleep(3600)
    assert virtual_time.now == 3600


def test_the_seed_is_the_worlds(virtual_time, firefly_seed):
    assert virtual_time.seed == firefly_seed


def test_a_player_logs_in(virtual_time, firefly_cluster):
    cluster = firefly_cluster(Path("firefly.toml"))
    client = cluster.connect()
    assert client.request("login", "bob") == "hello bob"
    assert client.wait_push("caught") == 1


def test_a_second_cluster_in_the_same_process(virtual_time, firefly_cluster):
    first = firefly_cluster(Path("firefly.toml"))
    second = firefly_cluster(Path("firefly.toml"), start=False)
    assert second.kernels == {}
    second.start()
    assert first.connect().request("login", "ann") == second.connect().request("login", "ann")


def test_that_fails(virtual_time):
    assert virtual_time.seed == 0
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Run the project's tests once; give what pytest said."""
    home = tmp_path_factory.mktemp("project")
    files = {"conftest.py": CONFTEST, "game.py": GAME, "firefly.toml": TOML, "test_game.py": TESTS}
    for name, text in files.items():
        (home / name).write_text(text)
    arguments = [sys.executable, "-m", "pytest", "-p", "firefly_core.testing", "-p", "no:cacheprovider", "-rA"]
    done = subprocess.run(arguments, cwd=home, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", [line[4:].partition("(")[0] for line in TESTS.splitlines() if line.startswith("def ")])
def test_the_plugin_serves(report, name):
    outcome = "FAILED" if name == "test_that_fails" else "PASSED"
    assert f"{outcome} test_game.py::{name}" in report, report


def test_a_failing_test_says_its_seed(report):
    assert "run it again with FIREFLY_SEED=1" in report


def test_without_the_option_nothing_is_patched_and_no_fixture_is_there(tmp_path):
    (tmp_path / "test_plain.py").write_text(
        "from gevent import monkey\nimport firefly_core.testing\n\n"
        "def test_plain():\n    assert not monkey.is_module_patched('threading')\n\n"
        "def test_no_fixture(virtual_time):\n    pass\n"
    )
    arguments = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "PASSED test_plain.py::test_plain" in done.stdout
    assert "fixture 'virtual_time' not found" in done.stdout
