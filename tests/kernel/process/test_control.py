"""A server's end of the control pipe."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys

import gevent
import pytest

from firefly_core.errors import Overloaded, RemoteError, Unavailable
from firefly_core.kernel.process import control as module
from firefly_core.kernel.process.control import Control

BEGIN = {"do": "begin", "epoch": 3, "secret": "00ff", "source": "[firefly]", "listeners": {"tcp://x:1": 7}}


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    control = Control(theirs)
    yield control, ours
    ours.close()
    control.close()


def test_the_first_line_says_what_the_process_is(ends):
    control, supervisor = ends
    supervisor.sendall(json.dumps(BEGIN).encode() + b"\n")
    begin = control.read_begin()
    assert (begin.epoch, begin.secret, begin.source) == (3, b"\x00\xff", "[firefly]")
    assert begin.listeners == {"tcp://x:1": 7}
    assert "00ff" not in repr(begin)
    assert "\\xff" not in repr(begin)


@pytest.mark.parametrize("sent", [b"", b'{"do": "beg'])
def test_a_supervisor_that_dies_first_is_noticed(ends, sent):
    control, supervisor = ends
    supervisor.sendall(sent)
    supervisor.close()
    with pytest.raises(Unavailable):
        control.read_begin()


def test_questions_are_answered_by_their_numbers(ends):
    control, supervisor = ends
    control.start()
    asking = [gevent.spawn(control.ask, what) for what in ("status", "reload")]
    lines = supervisor.makefile("rb")
    questions = [json.loads(lines.readline()) for _ in asking]
    for question in reversed(questions):
        answer = {"answer": question["ask"], "result": question["what"]}
        supervisor.sendall(json.dumps(answer).encode() + b"\n")
    assert [asked.get(timeout=5) for asked in asking] == ["status", "reload"]


def test_a_refusal_carries_the_reason(ends):
    control, supervisor = ends
    control.start()
    asked = gevent.spawn(control.ask, "restart", name="moon-1")
    question = json.loads(supervisor.makefile("rb").readline())
    assert question == {"ask": question["ask"], "what": "restart", "name": "moon-1"}
    supervisor.sendall(json.dumps({"answer": question["ask"], "error": "there is no moon-1"}).encode() + b"\n")
    with pytest.raises(RemoteError, match="there is no moon-1"):
        asked.get(timeout=5)


@pytest.mark.parametrize("line", [b"", b"nonsense\n"])
def test_the_end_of_the_pipe_ends_every_question_and_is_told(ends, line):
    control, supervisor = ends
    control.start()
    asked = gevent.spawn(control.ask, "status", timeout=30.0)
    supervisor.recv(1)
    supervisor.sendall(line)
    supervisor.close()
    with pytest.raises(Unavailable):
        asked.get(timeout=5)
    assert control.ended.wait(5)
    control.say("ready")


def test_a_supervisor_that_never_answers_is_waited_for_as_long_as_was_said(ends):
    control, _ = ends
    control.start()
    with pytest.raises(Unavailable):
        control.ask("status", timeout=0.05)


def test_questions_are_bounded(ends):
    control, _ = ends
    control.start()
    asking = [gevent.spawn(control.ask, "status", timeout=30.0) for _ in range(module.QUESTIONS)]
    gevent.sleep(0)
    with pytest.raises(Overloaded):
        control.ask("status")
    gevent.killall(asking)


PROGRAM = """
import os, sys
from gevent import monkey; monkey.patch_all()
from firefly_core.kernel.process.control import inherit
control = inherit()
print(control is not None, "FIREFLY_CONTROL" in os.environ, flush=True)
import time; time.sleep(600)
"""


def test_a_process_that_nobody_supervises_has_no_pipe(monkeypatch):
    monkeypatch.delenv(module.VARIABLE, raising=False)
    assert module.inherit() is None


def test_a_process_whose_supervisor_has_died_already_ends_at_once():
    ours, theirs = socket.socketpair()
    value = f"{theirs.fileno()} 999999999"
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, module.VARIABLE: value},
        pass_fds=[theirs.fileno()],
        timeout=20,
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, b""), ran.stderr
    ours.close()
    theirs.close()


def test_a_process_dies_with_its_supervisor_and_its_children_do_not_inherit_the_pipe():
    parent = (
        "import os, socket, subprocess, sys\n"
        "ours, theirs = socket.socketpair()\n"
        "value = f'{theirs.fileno()} {os.getpid()}'\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], pass_fds=[theirs.fileno()],"
        " env={**os.environ, 'FIREFLY_CONTROL': value}, stdout=subprocess.PIPE)\n"
        "print(child.pid, child.stdout.readline().decode(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", parent, PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert supervisor.stdout is not None
    pid, inherited, left = supervisor.stdout.readline().split()
    assert (inherited, left) == (b"True", b"False")
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    with gevent.Timeout(5):
        while os.path.exists(f"/proc/{int(pid)}"):
            gevent.sleep(0.01)
