"""Numbers are no names: they are looked up at once, by nobody's thread."""

import _socket
import socket

import gevent
import pytest
from gevent import get_hub

from firefly_core.channel.resolver import Resolver


@pytest.fixture
def resolver():
    return Resolver(get_hub())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", None])
def test_a_number_needs_no_thread(resolver, host):
    threads = resolver.pool.size
    found = resolver.getaddrinfo(host, 80, 0, socket.SOCK_STREAM)
    assert found == _socket.getaddrinfo(host, 80, 0, socket.SOCK_STREAM)
    assert resolver.pool.size == threads


@pytest.mark.parametrize(("host", "port"), [("localhost", 80), ("127.0.0.1", "http")])
def test_a_name_is_asked_for_on_a_thread(resolver, host, port):
    waited = []
    gevent.spawn(waited.append, True)
    found = resolver.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    assert [place[4] for place in found] == [("127.0.0.1", 80)]
    assert waited, "the others were not let run meanwhile"


def test_what_is_no_name_is_an_error_as_ever(resolver):
    with pytest.raises(socket.gaierror):
        resolver.getaddrinfo("no.such.name.invalid", 80)
