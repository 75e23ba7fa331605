"""A plugin package of somebody else's: built, installed and used by `firefly-run`, without a changed line of ours."""

import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from gevent import subprocess

SOURCE = Path(__file__).parent / "assets" / "thirdparty_plugin"
ROOT = Path(__file__).parents[1]
TOML = """
[firefly]
name = "coast"
plugins = ["gate", "root", "node", "protocols", "lighthouse"]

[servers.coast.gate]
listen = { url = "tcp://127.0.0.1:24100", protocol = "lines", push = ">>" }
[servers.coast.root]
listen = "tcp://127.0.0.1:24101"
[servers.coast.lighthouse]
listen = "tcp://127.0.0.1:24102"

[servers.town]
handlers = ["harbour"]
[servers.town.node]
roots = ["coast"]
"""


def run(*arguments, cwd, **environment):
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build the package as a wheel and install that into a folder of its own; give the folder."""
    home = tmp_path_factory.mktemp("thirdparty")
    shutil.copytree(SOURCE, home / "source")
    offline = ["--no-deps", "--disable-pip-version-check", "--no-index"]
    run("pip", "wheel", *offline, "--no-build-isolation", "-w", "wheels", "./source", cwd=home)
    (wheel,) = (home / "wheels").glob("firefly_lighthouse-2.1.0-*.whl")
    run("pip", "install", *offline, "--target", "site", str(wheel), cwd=home)
    return home / "site"


@pytest.fixture(scope="module")
def game(installed, tmp_path_factory):
    """A folder with a firefly.toml that names the plugin; gives it and the environment in which it is installed."""
    home = tmp_path_factory.mktemp("coast")
    (home / "firefly.toml").write_text(TOML)
    return home, {"PYTHONPATH": os.pathsep.join([str(installed), *sys_path_of_ours()])}


def sys_path_of_ours():
    """What makes our own packages importable in this run of the tests, where they are not installed."""
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def test_check_accepts_it_and_plugins_lists_it_with_its_distribution(game):
    home, environment = game
    run("firefly_core.run", "check", cwd=home, **environment)
    assert "firefly-lighthouse 2.1.0" in run("firefly_core.run", "plugins", cwd=home, **environment)
    listed = run("firefly_core.run", "commands", cwd=home, **environment)
    assert "dock" in listed
    assert "docked" in listed


def wait_for(address, deadline=20.0):
    """Connect as soon as somebody listens."""
    end = time.monotonic() + deadline
    while True:
        try:
            return socket.create_connection(address, timeout=10)
        except OSError:
            assert time.monotonic() < end, f"nobody listens at {address}"
            time.sleep(0.05)


class Ship:
    """A client of the third party's format, by hand."""

    def __init__(self, port):
        self.socket = wait_for(("127.0.0.1", port))
        self.lines = self.socket.makefile("rb")

    def close(self):
        self.lines.close()
        self.socket.close()

    def ask(self, line):
        self.socket.sendall(line + b"\n")
        return self.next()

    def next(self):
        return self.lines.readline().rstrip(b"\n")


@pytest.fixture
def ship():
    """Give a function that connects a client."""
    ships = []

    def connect(port):
        ships.append(Ship(port))
        return ships[-1]

    yield connect
    for ship in ships:
        ship.close()


@pytest.fixture
def running(game):
    """Everything, by `firefly-run`; it must stop in order."""
    home, environment = game
    process = subprocess.Popen(
        [sys.executable, "-m", "firefly_core.run"],
        cwd=home,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
        assert process.poll() is None, process.stdout.read().decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()


def test_its_service_its_format_and_its_handlers_run_under_firefly_run(running, ship):
    assert ship(24102).next() == b"the light is on, 0 ships before you"
    ann, bob = ship(24100), ship(24100)
    end = time.monotonic() + 10
    while b"unavailable" in (answer := ann.ask(b'1 login "ann"')):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert answer == b'1 ok "welcome to the port of town-1, ann"'
    assert bob.ask(b'7 101 "bob"').startswith(b"7 ok")
    assert ann.ask(b'2 dock {"berth": 3}') in (b"2 ok 3", b'>> 2001 docked ["ann",3]')
    assert bob.next() == b'>> 2001 docked ["ann",3]'
    assert bob.ask(b'8 dock {"berth": 3}') == b"8 error taken berth 3 is taken"
    assert b"bad_request" in bob.ask(b'9 dock {"berth": "three"}')


def test_its_own_tests_run_with_the_test_kit(installed, tmp_path):
    shutil.copy(SOURCE / "test_lighthouse.py", tmp_path)
    path = os.pathsep.join([str(installed), *sys_path_of_ours()])
    said = run("pytest", "-q", "-p", "firefly_core.testing", "-p", "no:cacheprovider", cwd=tmp_path, PYTHONPATH=path)
    assert " passed" in said
    assert "failed" not in said
