"""Sockets that are held for servers, and addresses that are tried."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.supervisor import listeners
from firefly_core.kernel.supervisor.listeners import Listeners, problem_of, process_listening_on
from firefly_core.kernel.supervisor.plan import Address


def address(port: int, host: str = "127.0.0.1", name: str = "tcp") -> Address:
    return Address(key="servers.gate.gate.listen", url=f"{name}://{host}:{port}", host=host, port=port)


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def held():
    made = Listeners()
    yield made
    made.close()


def test_a_socket_is_opened_once_and_kept_until_it_is_not_wanted_any_more(held, port):
    first = held.open("gate-1", [address(port)])
    assert held.open("gate-1", [address(port)]) == first
    assert list(first) == [f"tcp://127.0.0.1:{port}"]
    socket.create_connection(("127.0.0.1", port)).close()
    assert held.open("gate-1", []) == {}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_replicas_have_sockets_of_their_own_on_one_port(held, port):
    one, two = (held.open(name, [address(port)]) for name in ("gate-1", "gate-2"))
    assert set(one) == set(two)
    assert set(one.values()).isdisjoint(two.values())
    held.close("gate-1")
    socket.create_connection(("127.0.0.1", port)).close()


def test_an_ipv6_address_is_listened_on(held):
    (descriptor,) = held.open("gate-1", [address(0, "::1")]).values()
    with socket.socket(fileno=os.dup(descriptor)) as listener:
        assert listener.family == socket.AF_INET6
        assert problem_of(address(listener.getsockname()[1], "::1")) is not None


def test_a_port_shared_by_a_stranger_who_allows_it_is_a_problem_all_the_same(port):
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        assert f"pid {os.getpid()}" in (problem_of(address(port)) or "")
    assert problem_of(address(port)) is None


def test_a_port_is_free_although_its_last_connection_has_just_been_closed(held, port):
    held.open("gate-1", [address(port)])
    client = socket.create_connection(("127.0.0.1", port))
    (descriptor,) = held.open("gate-1", [address(port)]).values()
    with socket.socket(fileno=os.dup(descriptor)) as listener:
        listener.setblocking(True)
        listener.accept()[0].close()
    client.recv(1)
    client.close()
    held.close()
    assert problem_of(address(port)) is None


def test_every_problem_is_told_at_once(port):
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ConfigurationError) as caught:
        listeners.check([address(port), address(80, "203.0.113.7"), address(0)])
    assert len(caught.value.problems) == 2
    assert "is taken by" in caught.value.problems[0]
    assert "cannot listen on tcp://203.0.113.7:80: Cannot assign requested address" in caught.value.problems[1]


def test_the_process_that_listens_is_named(port):
    program = (
        "import socket, sys\n"
        "listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "print('listening', flush=True)\n"
        "sys.stdin.read()\n"
    )
    stranger = subprocess.Popen(
        [sys.executable, "-c", program, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        assert process_listening_on(port) == f"python (pid {stranger.pid})"
    finally:
        stranger.communicate()
    assert process_listening_on(port) is None
