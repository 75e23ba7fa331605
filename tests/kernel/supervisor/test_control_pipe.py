"""The supervisor's end of the control pipe, with whatever a server may write into it."""

from __future__ import annotations

import json
import socket

import pytest

from firefly_core.kernel.supervisor.control_pipe import LONGEST_LINE, ControlPipe


class Loop:
    def __init__(self):
        self.watched = {}

    def watch(self, descriptor, readable, writable=None):
        self.watched[descriptor] = (readable, writable)

    def forget(self, descriptor):
        self.watched.pop(descriptor, None)

    def turn(self):
        for readable, writable in list(self.watched.values()):
            if writable is not None:
                writable()
            readable()


class Desk:
    def __init__(self):
        self.loop = Loop()
        ours, self.server = socket.socketpair()
        self.server.settimeout(5)
        self.messages = []
        self.ends = 0
        self.pipe = ControlPipe(self.loop, ours, self.messages.append, self.end)

    def end(self):
        self.ends += 1

    def write(self, data):
        self.server.sendall(data)
        self.loop.turn()


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.pipe.close()
    made.server.close()


def test_messages_are_put_together_from_whatever_arrives(desk):
    for part in (b'{"say": "re', b'ady"}\n{"ask": 1,', b' "what": "status"}\n'):
        desk.write(part)
    assert desk.messages == [{"say": "ready"}, {"ask": 1, "what": "status"}]


@pytest.mark.parametrize("line", [b"\n", b"ready\n", b"[1]\n", b"\xff\n", b"[" * 60_000 + b"\n", b'{"a": 1}}\n'])
def test_a_line_that_is_no_object_ends_the_pipe_once(desk, line):
    desk.write(line)
    assert desk.ends == 1
    assert not desk.pipe.open
    assert desk.loop.watched == {}


def test_a_line_without_end_is_not_kept(desk):
    for _ in range(3):
        if desk.pipe.open:
            desk.write(b"x" * (LONGEST_LINE // 2))
    assert desk.ends == 1
    assert desk.messages == []


def test_what_was_said_before_the_end_is_heard(desk):
    desk.server.sendall(b'{"say": "ready"}\n')
    desk.server.close()
    desk.loop.turn()
    desk.loop.turn()
    assert desk.messages == [{"say": "ready"}]
    assert desk.ends == 1


def test_a_long_message_is_sent_as_the_server_reads_and_never_waits(desk):
    text = "x" * 2_000_000
    desk.pipe.send({"do": "begin", "source": text})
    received = b""
    while not received.endswith(b"\n"):
        desk.loop.turn()
        received += desk.server.recv(1_000_000)
    assert json.loads(received) == {"do": "begin", "source": text}


def test_a_server_that_reads_nothing_loses_the_pipe_instead_of_filling_the_memory(desk):
    for _ in range(100):
        desk.pipe.send({"answer": 1, "result": "x" * 100_000})
    assert desk.ends == 1
    assert not desk.pipe.open


def test_closing_tells_nobody(desk):
    desk.pipe.close()
    desk.pipe.send({"answer": 1})
    assert desk.ends == 0
