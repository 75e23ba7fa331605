"""Sockets as the network makes them."""

import socket

import gevent

from firefly_core.channel.network import SocketNetwork

WANTED = {
    (socket.IPPROTO_TCP, socket.TCP_NODELAY): 1,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 15,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 10_000,
}


def options_of_an_accepted_socket(descriptor, host, port):
    accepted = []
    listener = SocketNetwork().listen(host, port, accepted.append, descriptor=descriptor)
    try:
        with socket.create_connection(tuple(listener.address.rsplit(":", 1))):
            while not accepted:
                gevent.sleep(0.01)
            own = accepted[0]._sock
            found = {option: own.getsockopt(*option) for option in WANTED}
            accepted[0].close()
            return found
    finally:
        listener.close()


def test_an_accepted_socket_answers_at_once_and_notices_a_dead_peer():
    assert options_of_an_accepted_socket(None, "127.0.0.1", 0) == WANTED


def test_so_does_one_whose_listening_socket_a_supervisor_has_bound():
    with socket.create_server(("127.0.0.1", 0)) as bound:
        assert options_of_an_accepted_socket(bound.detach(), "127.0.0.1", 0) == WANTED
