"""Sockets that are held for servers, and addresses that are tried."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys

import pytest

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.supervisor import listeners
from firefly_core.kernel.supervisor.listeners import Listeners, problem_of, process_listening_on
from firefly_core.kernel.supervisor.plan import Address
from tests.ports import free_port


def address(port: int, host: str = "127.0.0.1", name: str = "tcp") -> Address:
    return Address(key="servers.gate.gate.listen", url=f"{name}://{host}:{port}", host=host, port=port)


@pytest.fixture
def port():
    return free_port()


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


def answering(held, port, *names):
    """Which of the descriptors get a client, of 64 that come."""
    own = {name: held.open(name, [address(port)]) for name in names}
    found = set()
    for _ in range(64):
        with socket.create_connection(("127.0.0.1", port)):
            ready = select.select([fd for fds in own.values() for fd in fds.values()], [], [], 5)[0]
            for name, fds in own.items():
                for descriptor in fds.values():
                    if descriptor in ready:
                        with socket.socket(fileno=os.dup(descriptor)) as listener:
                            listener.accept()[0].close()
                        found.add(name)
    return found


def test_who_is_away_for_long_has_no_queue_where_a_replica_listens(held, port):
    assert answering(held, port, "gate-1", "gate-2") == {"gate-1", "gate-2"}
    held.rest("gate-1")
    assert answering(held, port, "gate-2") == {"gate-2"}
    assert answering(held, port, "gate-1", "gate-2") == {"gate-1", "gate-2"}


def test_clients_in_the_queue_of_who_rests_are_told_by_a_reset(held, port):
    for name in ("gate-1", "gate-2"):
        held.open(name, [address(port)])
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(64)]
    held.rest("gate-1")
    told = select.select(clients, [], [], 0.2)[0]
    assert 0 < len(told) < len(clients)
    for client in clients:
        client.close()


def test_of_two_that_rest_one_keeps_its_queue_until_the_other_listens(held, port):
    for name in ("gate-1", "gate-2"):
        held.open(name, [address(port)])
    held.rest("gate-1")
    held.rest("gate-2")
    with socket.create_connection(("127.0.0.1", port)) as client:
        held.open("gate-1", [address(port)])
        assert select.select([client], [], [], 5)[0] == [client]
    assert answering(held, port, "gate-1") == {"gate-1"}


def test_who_has_no_replica_keeps_its_queue(held, port):
    held.open("gate-1", [address(port)])
    held.rest("gate-1")
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
