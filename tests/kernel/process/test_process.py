"""One process from start to exit status, with a kernel that only says what is asked of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firefly_core.kernel.process.control import VARIABLE

PROGRAM = """
from gevent import monkey; monkey.patch_all()
import json, logging, sys, time
import gevent
from gevent.event import AsyncResult
from firefly_core.errors import ConfigurationError
from firefly_core.kernel.process.control import inherit
from firefly_core.kernel.process.process import Process

options = json.loads(sys.argv[1])

def say(what):
    print(what, flush=True)

class HubWatch:
    def start(self):
        pass
    stop = start

class Mesh:
    @staticmethod
    def wait_heard(timeout):
        return True

class Report:
    def plain(self):
        return {"problems": [], "taken": True}

class Code:
    class version:
        @staticmethod
        def plain():
            return {"hash": "abc"}
    def reload(self, **how):
        say(f"reload {how}")
        if options.get("breaks"):
            raise OSError("no room")
        return Report()

class Kernel:
    name = "world-1"
    code = Code()
    log = logging.getLogger("firefly.test")
    hub_watch = HubWatch()
    mesh = Mesh()
    supervisor = None
    def __init__(self):
        self.gave_up = AsyncResult()
    def start(self):
        say("start")
        try:
            gevent.sleep(options.get("start", 0))
            if "fails" in options:
                raise OSError("no such luck")
        except BaseException as error:
            say(f"stop after {type(error).__name__}")
            raise
        if "gives_up" in options:
            gevent.spawn_later(0.1, self.gave_up.set, "replaced")
    def drain(self):
        say("drain")
        gevent.sleep(options.get("drain", 0))
        say("drained")
    def unfinished(self):
        return {"calls": options.get("left", 0), "gate": 0}
    def stop(self):
        say("stop")
        gevent.sleep(options.get("stop", 0))
        while options.get("spins"):
            pass

control = inherit()
if control is not None:
    say(control.read_begin().epoch)
status = Process(Kernel(), control).run()
say(f"status {status}")
sys.exit(status)
"""


class Server:
    def __init__(self, control: bool, options: dict[str, Any]) -> None:
        self.pipe, theirs = socket.socketpair()
        environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
        if control:
            environment[VARIABLE] = f"{theirs.fileno()} {os.getpid()}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            pass_fds=[theirs.fileno()] if control else [],
            process_group=0,
        )
        theirs.close()
        self.pipe.settimeout(20)

    def expect(self, *lines: str) -> None:
        assert self.process.stdout is not None
        for line in lines:
            assert self.process.stdout.readline().decode().strip() == line

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, list[str]]:
        out, _ = self.process.communicate(timeout=20)
        return self.process.returncode, out.decode().splitlines()


@pytest.fixture
def server() -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(*, control: bool = False, **options: Any) -> Server:
        started.append(Server(control, options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()
        each.pipe.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_it_finish_its_work(server, number):
    running = server(drain=0.3)
    running.expect("start")
    running.send(number)
    assert running.end() == (0, ["drain", "drained", "stop", "status 0"])


def test_a_second_signal_cuts_the_work_short(server):
    running = server(drain=600)
    running.expect("start")
    running.send(signal.SIGTERM)
    running.expect("drain")
    running.send(signal.SIGINT)
    assert running.end() == (0, ["stop", "status 0"])


def test_sigquit_stops_without_finishing_anything(server):
    running = server(drain=600)
    running.expect("start")
    running.send(signal.SIGQUIT)
    assert running.end() == (0, ["stop", "status 0"])


def test_a_third_signal_ends_it_although_the_hub_never_runs_again(server):
    running = server(spins=True)
    running.expect("start")
    running.send(signal.SIGINT)
    running.expect("drain", "drained", "stop")
    running.send(signal.SIGTERM)
    running.send(signal.SIGQUIT)
    assert running.end() == (70, [])


def test_a_signal_during_the_start_cuts_it(server):
    running = server(start=600)
    running.expect("start")
    running.send(signal.SIGTERM)
    assert running.end() == (0, ["stop after GreenletExit", "status 0"])


def test_a_start_that_fails_says_so_once(server):
    running = server(fails=True)
    _, errors = running.process.communicate(timeout=20)
    assert running.process.returncode == 1
    assert errors.decode().count("OSError: no such luck") == 1


def test_a_kernel_that_gives_up_stops_without_draining_and_exits_70(server):
    running = server(gives_up=True)
    assert running.end() == (70, ["start", "stop", "status 70"])


def test_the_supervisor_is_told_what_happens(server):
    running = server(control=True)
    running.pipe.sendall(b'{"do": "begin", "epoch": 7, "secret": null, "source": "", "listeners": {}}\n')
    running.expect("7", "start")
    lines = running.pipe.makefile("rb")
    assert json.loads(lines.readline()) == {"say": "ready", "code": {"hash": "abc"}}
    running.send(signal.SIGTERM)
    assert json.loads(lines.readline()) == {"say": "draining"}
    assert running.end() == (0, ["drain", "drained", "stop", "status 0"])


def test_what_is_dropped_when_the_time_to_finish_is_over_is_counted_and_told(server):
    running = server(control=True, drain=600, left=3)
    running.pipe.sendall(b'{"do": "begin", "epoch": 7, "secret": null, "source": "", "listeners": {}}\n')
    running.expect("7", "start")
    lines = running.pipe.makefile("rb")
    lines.readline()
    running.send(signal.SIGTERM)
    running.expect("drain")
    running.send(signal.SIGTERM)
    assert [json.loads(lines.readline()) for _ in range(2)] == [{"say": "draining"}, {"say": "cut", "dropped": 3}]
    assert running.end() == (0, ["stop", "status 0"])


@pytest.mark.parametrize("breaks", [False, True])
def test_a_reload_is_done_when_the_supervisor_says_so_and_reported_whatever_happens(server, breaks):
    running = server(control=True, breaks=breaks)
    running.pipe.sendall(b'{"do": "begin", "epoch": 7, "secret": null, "source": "", "listeners": {}}\n')
    running.expect("7", "start")
    lines = running.pipe.makefile("rb")
    lines.readline()
    running.pipe.sendall(b'{"do": "reload", "number": 5, "dry_run": true, "force": false}\n')
    running.expect("reload {'dry_run': True, 'force': False}")
    told = json.loads(lines.readline())
    assert (told["say"], told["number"], told["code"]) == ("reloaded", 5, {"hash": "abc"})
    assert bool(told["report"]["problems"]) is breaks
    running.send(signal.SIGTERM)
    assert running.end()[0] == 0


@pytest.mark.parametrize("options", [{"stop": 600}, {"spins": True}])
def test_a_supervisor_that_vanishes_is_survived_by_two_seconds_at_most(server, options):
    running = server(control=True, drain=600, **options)
    running.pipe.sendall(b'{"do": "begin", "epoch": 7, "secret": null, "source": "", "listeners": {}}\n')
    running.expect("7", "start")
    running.pipe.makefile("rb").readline()
    began = time.monotonic()
    running.pipe.shutdown(socket.SHUT_RDWR)
    status, lines = running.end()
    assert (status, lines) == (-signal.SIGKILL, ["stop"])
    assert time.monotonic() - began < 5


def test_it_refuses_to_run_where_gevent_has_not_patched(tmp_path: Path):
    program = (
        "from pathlib import Path\n"
        "from firefly_core.errors import ConfigurationError\n"
        "from firefly_core.kernel.process.process import run\n"
        "try:\n"
        "    run(Path('firefly.toml'), 'world')\n"
        "except ConfigurationError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.stdout.startswith("gevent has not patched socket, select, threading"), ran.stderr
