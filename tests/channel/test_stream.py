"""A stream over real sockets: bounded both ways, closed once, and never in anybody's way."""

import socket

import gevent
import pytest
from gevent import get_hub

from firefly_core.channel.clock import SystemClock
from firefly_core.channel.deadlines import Deadlines
from firefly_core.channel.limits import StreamLimits
from firefly_core.channel.network import SocketNetwork
from firefly_core.channel.runners import Runners
from firefly_core.channel.stream import Stream


class Owner:
    def __init__(self, floor, transport, limits):
        self.data = b""
        self.ended = []
        self.stream = Stream(transport, floor.runners, floor.deadlines, self, limits)
        self.stream.start()

    def on_data(self, data):
        self.data += data

    def on_blocked(self, runner): ...

    def on_close(self, reason):
        self.ended.append(reason)


class Floor:
    def __init__(self):
        self.runners = Runners()
        self.deadlines = Deadlines(get_hub().loop, SystemClock())
        self.network = SocketNetwork()
        self.limits = StreamLimits(max_queue=100_000, send_timeout=0.3)
        self.owners = []
        self.listener = self.network.listen("127.0.0.1", 0, self.accept)

    def accept(self, transport):
        self.owners.append(Owner(self, transport, self.limits))

    def connect(self):
        client = socket.create_connection(self.listener.address.split(":"))
        wait(lambda: self.owners)
        return client, self.owners.pop()


def wait(condition):
    with gevent.Timeout(10):
        while not condition():
            gevent.sleep(0.002)


@pytest.fixture
def floor():
    made = Floor()
    yield made
    made.listener.close()
    made.runners.close()
    made.deadlines.close()


@pytest.fixture
def pair(floor):
    client, owner = floor.connect()
    with client:
        yield client, owner
    owner.stream.close()


def test_bytes_go_both_ways(pair):
    client, owner = pair
    client.sendall(b"hello")
    wait(lambda: owner.data == b"hello")
    assert owner.stream.write(b"hi there")
    assert client.recv(100) == b"hi there"
    assert owner.stream.address == "{}:{}".format(*client.getsockname())


def test_the_end_of_the_client_is_told_once(pair):
    client, owner = pair
    client.close()
    wait(lambda: owner.ended)
    owner.stream.close("again")
    assert owner.ended == ["end_of_stream"]
    assert not owner.stream.write(b"too late")


def test_a_reset_is_told_as_one(pair):
    client, owner = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    wait(lambda: owner.ended)
    assert owner.ended == ["reset"]


def test_a_paused_stream_reads_nothing(pair):
    client, owner = pair
    owner.stream.pause_reading()
    client.sendall(b"wait")
    gevent.sleep(0.05)
    assert owner.data == b""
    owner.stream.resume_reading()
    wait(lambda: owner.data == b"wait")


def is_broken(client):
    try:
        client.sendall(b"still here")
    except OSError:
        return True
    return False


def fill(owner):
    """Write until the kernel's buffer is full and something waits here."""
    for _ in range(1000):
        owner.stream.write(b"x" * 10_000)
        if owner.stream.queued or owner.stream.closed:
            return


def test_what_the_kernel_does_not_take_is_sent_later_and_complete(pair):
    client, owner = pair
    fill(owner)
    assert 0 < owner.stream.queued <= 100_000
    owner.stream.write(b"the end")
    got = b""
    while not got.endswith(b"the end"):
        got += client.recv(65536)
    assert set(got[:-7]) == {ord("x")}
    assert owner.stream.queued == 0


def test_a_reader_that_is_too_far_behind_is_closed(pair):
    _, owner = pair
    fill(owner)
    for _ in range(20):
        owner.stream.write(b"x" * 10_000)
    assert owner.ended == ["slow_consumer"]
    assert owner.stream.queued == 0


def test_many_small_pieces_weigh_what_they_take_in_memory(pair):
    _, owner = pair
    fill(owner)
    begun, pieces = owner.stream.queued, 0
    while owner.stream.write(b"x"):
        pieces += 1
    assert owner.ended == ["slow_consumer"]
    assert pieces <= (100_000 - begun) // 128


def test_a_reader_that_takes_nothing_for_too_long_is_closed(pair):
    _, owner = pair
    fill(owner)
    wait(lambda: owner.ended)
    assert owner.ended == ["slow_consumer"]


def test_droppable_pieces_are_let_go_while_something_waits(pair):
    _client, owner = pair
    assert owner.stream.write_droppable(b"first")
    fill(owner)
    assert not owner.stream.write_droppable(b"second")


def test_only_the_latest_piece_of_a_key_waits(pair):
    client, owner = pair
    fill(owner)
    for number in range(10):
        owner.stream.write_latest(b"position %d;" % number, "position")
    owner.stream.write(b"END")
    got = b""
    while not got.endswith(b"END"):
        got += client.recv(65536)
    assert got.lstrip(b"x") == b"position 9;END"


def test_last_words_arrive_though_unread_bytes_were_left(pair):
    client, owner = pair
    owner.stream.pause_reading()
    client.sendall(b"never read" * 100)
    gevent.sleep(0.02)
    owner.stream.write(b"goodbye")
    owner.stream.close_after_flush("kicked")
    assert owner.ended == ["kicked"]
    assert client.recv(100) == b"goodbye"
    assert client.recv(100) == b""


def test_a_client_that_stays_after_the_last_words_is_closed(floor):
    client, owner = floor.connect()
    with client:
        owner.stream.close_after_flush("kicked")
        assert client.recv(10) == b""
        wait(lambda: is_broken(client))


def test_a_connection_beyond_the_descriptors_is_closed_and_the_next_one_served(floor, monkeypatch):
    accept = floor.listener._sock._accept

    class Full:
        """The listening socket of a process without a free descriptor, for one try."""

        def __init__(self, sock):
            self.sock = sock
            self.full = True

        def _accept(self):
            if self.full:
                self.full = False
                raise OSError(24, "Too many open files")
            return accept()

        def __getattr__(self, name):
            return getattr(self.sock, name)

    monkeypatch.setattr(floor.listener, "_sock", Full(floor.listener._sock))
    with socket.create_connection(floor.listener.address.split(":")) as client:
        assert client.recv(1) == b""
    assert floor.listener.turned_away == 1
    client, owner = floor.connect()
    with client:
        client.sendall(b"in")
        wait(lambda: owner.data == b"in")
    owner.stream.close()


def test_an_answer_keeps_its_place_before_what_is_written_later(pair):
    client, owner = pair
    owner.stream.write_answer(b"1")
    owner.stream.write_answer(b"2")
    owner.stream.write(b"3")
    owner.stream.write_answer(b"4")
    got = b""
    while len(got) < 4:
        gevent.sleep(0.001)
        got += client.recv(10)
    assert got == b"1234"


def test_answers_of_a_turn_go_out_together_and_not_before_others_are_ready(pair):
    client, owner = pair
    client.setblocking(False)
    for number in range(10):
        owner.stream.write_answer(b"%d" % number)
    with pytest.raises(BlockingIOError):
        client.recv(100)
    client.setblocking(True)
    gevent.sleep(0)
    assert client.recv(100) == b"0123456789"


def test_an_answer_that_grows_too_large_does_not_wait(pair):
    client, owner = pair
    for _ in range(3):
        owner.stream.write_answer(b"x" * 40_000)
    got = len(client.recv(200_000))
    assert got > 65_536


@pytest.mark.parametrize("end", ["close", "close_after_flush"])
def test_an_answer_is_not_lost_to_the_end(pair, end):
    client, owner = pair
    owner.stream.write_answer(b"the last one")
    getattr(owner.stream, end)("kicked")
    assert client.recv(100) == b"the last one"
    assert client.recv(100) == b""


def test_an_answer_that_comes_after_the_end_is_not_kept(pair):
    _client, owner = pair
    owner.stream.close()
    owner.stream.write_answer(b"x" * 10_000)
    gevent.sleep(0)
    assert owner.stream._answer is None


def test_writing_nothing_sends_nothing(pair):
    client, owner = pair
    assert owner.stream.write(b"")
    owner.stream.close()
    assert not owner.stream.write(b"")
    assert client.recv(10) == b""


def test_a_transport_that_fails_in_an_odd_way_ends_its_own_stream_only(floor, caplog):
    client, owner = floor.connect()
    other_client, other = floor.connect()

    def broken(size):
        raise ValueError("this should not happen")

    owner.stream._recv = broken
    with client, other_client:
        client.sendall(b"x")
        other_client.sendall(b"y")
        wait(lambda: owner.ended and other.data == b"y")
        assert owner.ended == ["internal"]
        assert "this should not happen" in caplog.text
    other.stream.close()


def test_a_receiver_that_fails_at_its_end_costs_nobody_else_anything(floor, caplog):
    client, owner = floor.connect()
    other_client, other = floor.connect()

    def broken(reason):
        raise ValueError("not even an end")

    owner.on_close = broken
    with other_client:
        client.close()
        wait(lambda: owner.stream.closed)
        other_client.sendall(b"y")
        wait(lambda: other.data == b"y")
    assert "not even an end" in caplog.text
    other.stream.close()
