"""Links in memory have the manners of real sockets: each test here runs over both."""

import gevent
import pytest
from gevent.event import Event

from firefly_core.channel.network import SocketNetwork
from firefly_core.testing.memory_network import MemoryNetwork
from firefly_core.testing.world import virtual_time


@pytest.fixture(params=["socket", "memory", "memory in virtual time"])
def network(request):
    if request.param == "socket":
        yield SocketNetwork()
    elif request.param == "memory":
        yield MemoryNetwork().host("one")
    else:
        with virtual_time():
            yield MemoryNetwork().host("one")


class End:
    """Collects what one end hears."""

    def __init__(self, transport):
        self.transport = transport
        self.heard = bytearray()
        self.calls = 0
        self.error = None
        self.ended = False
        self.news = Event()

    def start(self, chunk=8192):
        self.chunk = chunk
        self.transport.start(self.on_readable)
        return self

    def on_readable(self):
        self.calls += 1
        try:
            data = self.transport.recv(self.chunk)
        except OSError as error:
            self.error = error
            self.transport.pause()
        else:
            self.heard += data
            if not data:
                self.ended = True
                self.transport.pause()
        self.news.set()

    def wait(self, condition):
        with gevent.Timeout(5):
            while not condition(self):
                self.news.clear()
                self.news.wait()


@pytest.fixture
def pair(network):
    accepted = []
    arrived = Event()
    listener = network.listen("127.0.0.1", 0, lambda transport: (accepted.append(transport), arrived.set()))
    port = int(listener.address.rpartition(":")[2])
    client = network.dial("127.0.0.1", port, timeout=5)
    assert arrived.wait(5)
    ends = End(client), End(accepted[0])
    yield ends
    for end in ends:
        end.transport.close()
    listener.close()


def fill(transport, data=b"x" * 65536):
    sent = 0
    try:
        while True:
            sent += transport.send(data)
    except BlockingIOError:
        return sent


def test_bytes_arrive_in_order_both_ways(pair):
    client, server = (end.start() for end in pair)
    for end, other in ((client, server), (server, client)):
        for number in range(100):
            end.transport.send(b"%d," % number)
        expected = b"".join(b"%d," % number for number in range(100))
        other.wait(lambda end, expected=expected: end.heard == expected)


def test_reading_before_anything_came_would_block(pair):
    with pytest.raises(BlockingIOError):
        pair[0].transport.recv(10)


def test_each_end_knows_where_the_other_is(pair):
    for end in pair:
        host, _, port = end.transport.address.rpartition(":")
        assert host == "127.0.0.1"
        assert int(port) > 0


def test_the_reader_is_called_again_until_it_has_taken_everything(pair):
    client, server = pair
    client.transport.send(b"x" * 1000)
    server.start(chunk=10)
    server.wait(lambda end: len(end.heard) == 1000)
    assert server.calls == 100


def test_a_paused_reader_hears_nothing_until_it_resumes(pair):
    client, server = pair
    server.start()
    server.transport.pause()
    server.transport.pause()
    client.transport.send(b"hello")
    gevent.sleep(0.02)
    assert server.calls == 0
    server.transport.resume()
    server.wait(lambda end: end.heard == b"hello")


def test_closing_ends_the_stream_after_what_was_sent(pair):
    client, server = pair
    client.transport.send(b"last words")
    client.transport.close()
    client.transport.close()
    server.start()
    server.wait(lambda end: end.ended)
    assert server.heard == b"last words"
    assert server.error is None


def test_finishing_ends_one_way_only(pair):
    client, server = pair
    client.start()
    client.transport.send(b"question")
    client.transport.finish()
    server.start()
    server.wait(lambda end: end.ended)
    assert server.transport.send(b"answer") == 6
    client.wait(lambda end: end.heard == b"answer")
    with pytest.raises(BrokenPipeError):
        client.transport.send(b"more")


def test_aborting_resets_the_peer(pair):
    client, server = pair
    server.start()
    client.transport.abort()
    server.wait(lambda end: end.error is not None)
    assert isinstance(server.error, ConnectionResetError)


def test_closing_with_unread_bytes_resets_the_peer(pair):
    client, server = pair
    heard = server.start()
    client.transport.send(b"never read")
    server.wait(lambda end: end.heard)
    server.transport.pause()
    client.transport.send(b"never read either")
    gevent.sleep(0.02)
    client.start()
    heard.transport.close()
    client.wait(lambda end: end.error is not None or end.ended)
    assert isinstance(client.error, ConnectionResetError)


def test_sending_to_who_has_closed_ends_in_a_reset(pair):
    client, server = pair
    server.transport.close()
    gevent.sleep(0.02)
    client.transport.send(b"anybody there?")
    gevent.sleep(0.02)
    with pytest.raises(OSError, match=r"(?i)reset|pipe"):
        client.transport.send(b"hello?")


def test_a_full_pipe_takes_no_more_until_the_reader_reads(pair):
    client, server = pair
    sent = fill(client.transport)
    writable = Event()
    client.transport.wait_writable(writable.set)
    gevent.sleep(0.02)
    assert not writable.is_set()
    server.start(chunk=65536)
    assert writable.wait(5)
    client.transport.stop_writable()
    server.wait(lambda end: len(end.heard) == sent)


def test_the_writer_is_called_each_time_until_it_is_stopped(pair):
    client, _ = pair
    calls = []
    enough = Event()

    def writable():
        calls.append(1)
        if len(calls) == 3:
            client.transport.stop_writable()
            enough.set()

    client.transport.wait_writable(writable)
    assert enough.wait(5)
    gevent.sleep(0.02)
    assert len(calls) == 3


def test_a_waiting_writer_learns_of_a_reset(pair):
    client, server = pair
    fill(client.transport)
    woken = Event()
    client.transport.wait_writable(woken.set)
    server.transport.abort()
    assert woken.wait(5)
    client.transport.stop_writable()


def test_a_closed_transport_refuses_to_work(pair):
    client, _ = pair
    client.transport.close()
    with pytest.raises(OSError, match="Errno 9"):
        client.transport.recv(1)
    with pytest.raises(OSError, match="Errno 9"):
        client.transport.send(b"x")


def test_closing_inside_the_readable_callback_ends_the_calls(pair):
    client, server = pair
    calls = []

    def close_at_once():
        calls.append(1)
        server.transport.close()

    server.transport.start(close_at_once)
    client.transport.send(b"x" * 100)
    gevent.sleep(0.02)
    assert calls == [1]


def test_dialling_where_nobody_listens_is_refused(network):
    listener = network.listen("127.0.0.1", 0, lambda transport: None)
    port = int(listener.address.rpartition(":")[2])
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        network.dial("127.0.0.1", port, timeout=5)


def test_a_taken_address_cannot_be_had(network):
    listener = network.listen("127.0.0.1", 0, lambda transport: None)
    port = int(listener.address.rpartition(":")[2])
    with pytest.raises(OSError, match=r"(?i)address.*in use"):
        network.listen("127.0.0.1", port, lambda transport: None)
    listener.close()
    network.listen("127.0.0.1", port, lambda transport: None).close()


def test_a_paused_listener_lets_its_callers_wait(network):
    accepted = []
    listener = network.listen("127.0.0.1", 0, accepted.append)
    listener.pause()
    client = network.dial("localhost", int(listener.address.rpartition(":")[2]), timeout=5)
    client.send(b"early")
    gevent.sleep(0.02)
    assert accepted == []
    listener.resume()
    with gevent.Timeout(5):
        while not accepted:
            gevent.sleep(0.001)
    server = End(accepted[0]).start()
    server.wait(lambda end: end.heard == b"early")
    server.transport.close()
    client.close()
    listener.close()


def test_closing_a_listener_keeps_what_it_accepted(network):
    accepted = []
    listener = network.listen("127.0.0.1", 0, accepted.append)
    client = network.dial("127.0.0.1", int(listener.address.rpartition(":")[2]), timeout=5)
    with gevent.Timeout(5):
        while not accepted:
            gevent.sleep(0.001)
    listener.close()
    listener.close()
    server = End(accepted[0]).start()
    client.send(b"still here")
    server.wait(lambda end: end.heard == b"still here")
    client.close()
    server.transport.close()
