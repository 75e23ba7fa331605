"""The fake client against a server of a few lines, over links in memory and in virtual time."""

import gevent
import pytest
from firefly_protocols.datapack import Datapack, DatapackConfig
from firefly_protocols.json_text import JsonConfig, JsonText

from firefly_core.errors import DeadlineExceeded, Disconnected, RemoteError
from firefly_core.testing.client import FakeClient
from firefly_core.testing.client_wire import DatapackWire
from firefly_core.testing.memory_network import MemoryNetwork
from firefly_core.testing.memory_pipe import Conditions
from firefly_core.testing.world import virtual_time
from firefly_core.wire.protocol import Limits


@pytest.fixture
def world():
    with virtual_time(seed=3) as world:
        yield world


@pytest.fixture
def network(world):
    return MemoryNetwork(world.seed)


class Server:
    """Answers what `answer(request)` gives: a frame, several, or nothing."""

    def __init__(self, network, make, answer):
        self.ends = []
        self.requests = []
        self.answer = answer
        self.make = make
        network.host("gate").listen("127.0.0.1", 11010, self.accept)

    def accept(self, transport):
        protocol = self.make()
        self.ends.append((transport, protocol))
        transport.start(lambda: self.read(transport, protocol))

    def read(self, transport, protocol):
        data = transport.recv(65536)
        if not data:
            transport.close()
            return
        for request in protocol.receive(data):
            self.requests.append(request)
            for frame in self.answer(protocol, request) or ():
                transport.send(frame)

    def send(self, frame):
        for transport, _ in self.ends:
            transport.send(frame)


def json_side():
    return JsonText(JsonConfig(), Limits(65536), stream=True)


def echo(protocol, request):
    return [protocol.encode_reply(request, request.body)]


def connect(network, wire=None, **options):
    return FakeClient(network.host("ann"), "tcp://127.0.0.1:11010", wire, **options)


def test_a_request_gives_the_answers_body(network):
    Server(network, json_side, echo)
    client = connect(network)
    assert client.request(203, {"x": 1}) == {"x": 1}
    assert client.request("chat", "hello") == "hello"


def test_datapack_works_the_same(network):
    Server(network, lambda: Datapack(DatapackConfig(), Limits(65536), stream=True), echo)
    client = connect(network, DatapackWire())
    assert client.request(203, [1, 2]) == [1, 2]


def test_an_error_is_raised_with_its_code(network):
    Server(network, json_side, lambda protocol, request: [protocol.encode_error(request, "too_far", "no way", b"")])
    with pytest.raises(RemoteError, match="no way") as error:
        connect(network).request(203)
    assert error.value.code == "too_far"


def test_many_requests_may_be_open_and_each_gets_its_own_answer(network):
    network.set_conditions("ann", "gate", Conditions(delay=0.05, jitter=0.05, segment=20))
    Server(network, json_side, echo)
    client = connect(network)
    pending = [client.ask(5, number) for number in range(200)]
    assert [one.get() for one in pending] == list(range(200))
    assert all(one.ready for one in pending)


def test_no_answer_in_time_is_a_deadline(world, network):
    Server(network, json_side, lambda *_: [])
    client = connect(network)
    with pytest.raises(DeadlineExceeded, match="203 #1"):
        client.request(203, timeout=2.5)
    assert world.now == 2.5


def test_a_notify_carries_no_id(network):
    server = Server(network, json_side, lambda *_: [])
    client = connect(network)
    client.notify(203, 1)
    gevent.sleep(0.1)
    assert [request.request_id for request in server.requests] == [None]


def test_pushes_are_kept_in_order_and_awaited_by_id_or_name(world, network):
    server = Server(network, json_side, echo)
    client = connect(network)
    client.request(1)
    for number in range(3):
        server.send(json_side().encode_push(2000 + number, f"n{number}", b"%d" % number))
    gevent.spawn_later(5, server.send, json_side().encode_push(2001, "n1", b"9"))
    assert client.wait_push(2001) == 1
    assert client.wait_push("n2") == 2
    assert client.wait_push("n1") == 9
    assert world.now == 5
    assert [push.command for push in client.pushes] == [2000, 2001, 2002, 2001]
    with pytest.raises(DeadlineExceeded, match="push 2001"):
        client.wait_push(2001, timeout=1)


def test_the_servers_end_fails_what_is_open_and_is_awaited(network):
    server = Server(network, json_side, lambda *_: [])
    client = connect(network)
    pending = client.ask(203)
    gevent.sleep(0.1)
    server.send(json_side().encode_goodbye("kicked"))
    server.ends[0][0].close()
    assert client.wait_closed() == "closed by the server"
    assert client.goodbye == "kicked"
    with pytest.raises(Disconnected) as error:
        pending.get()
    assert error.value.sent is True
    with pytest.raises(Disconnected) as error:
        client.ask(203)
    assert error.value.sent is False
    with pytest.raises(Disconnected, match="before push 5"):
        client.wait_push(5)


def test_a_reset_is_told_apart(network):
    server = Server(network, json_side, lambda *_: [])
    client = connect(network)
    gevent.sleep(0.1)
    server.ends[0][0].abort()
    assert client.wait_closed() == "reset"


def test_an_answer_that_nobody_waits_for_ends_the_connection(network):
    Server(network, json_side, lambda protocol, request: 2 * echo(protocol, request))
    client = connect(network)
    assert client.request(203, 1) == 1
    assert "nobody waits for" in client.wait_closed()


def test_what_cannot_be_read_ends_the_connection(network):
    server = Server(network, json_side, lambda *_: [])
    client = connect(network)
    gevent.sleep(0.1)
    server.send(b"HTTP/1.1 400 Bad Request\r\n")
    assert "cannot be read" in client.wait_closed()


def test_a_paused_client_reads_nothing_until_it_resumes(network):
    server = Server(network, json_side, echo)
    client = connect(network)
    client.request(1)
    client.pause()
    server.send(json_side().encode_push(5, "five", b"1"))
    gevent.sleep(100)
    assert client.pushes == []
    client.resume()
    assert client.wait_push("five") == 1


def test_a_long_request_goes_out_as_the_pipe_takes_it(network):
    network.set_conditions("ann", "gate", Conditions(capacity=1000, delay=0.01), both=False)
    Server(network, json_side, echo)
    assert connect(network).request(1, "x" * 20_000) == "x" * 20_000


def test_raw_bytes_go_past_the_format(network):
    server = Server(network, json_side, echo)
    connect(network).write(b'{"cmd":5,"id":1,"body":1}\n')
    gevent.sleep(0.1)
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "tcp://127.0.0.1", "127.0.0.1:5"])
def test_a_wrong_url_is_refused(network, url):
    with pytest.raises(ValueError, match="fake client needs"):
        FakeClient(network.host("ann"), url)


def test_nobody_there_is_refused(network):
    with pytest.raises(ConnectionRefusedError):
        connect(network)
