"""A connection that is kept: dialed in a schedule, for ever, whatever goes wrong."""

from __future__ import annotations

import logging
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from firefly_core.channel.dialer import Backoff, Dialer
from firefly_core.wire.hello import PeerIdentity
from tests.ports import free_port


class Owner:
    """Owns a dialer, and notes what it is told."""

    def __init__(self, house: Any, address: str, **options: Any) -> None:
        self.house = house
        self.connected: list[Any] = []
        self.lost: list[str] = []
        self.refused: list[Any] = []
        self.tries: list[float] = []
        self.network = house.network
        self.handlers: dict[str, Any] = {}
        self.identity = options.pop("identity", None)
        self.limits = options.pop("limits", None)
        host, _, port = address.rpartition(":")
        self.dialer = Dialer(
            host,
            int(port),
            network=self,
            clock=options.pop("clock", house.clock),
            random=options.pop("random", random.Random(1)),
            make_channel=options.pop("make_channel", self.make),
            on_connected=self.connected.append,
            on_disconnected=lambda _channel, reason: self.lost.append(reason),
            on_refused=options.pop("on_refused", self.refused.append),
        )

    def dial(self, host: str, port: int, *, timeout: float) -> Any:
        self.tries.append(time.monotonic())
        return self.network.dial(host, port, timeout=timeout)

    def listen(self, *_arguments: Any, **_options: Any) -> Any:
        raise NotImplementedError

    def make(self, transport: Any, *, on_ready: Any, on_lost: Any) -> Any:
        hello = self.house.initiator(**({"identity": self.identity} if self.identity else {}))
        return self.house.channel(
            transport, hello, self.handlers, on_ready=on_ready, on_lost=on_lost, limits=self.limits
        )

    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.tries, self.tries[1:], strict=False)]


@pytest.fixture
def owner(house: Any) -> Iterator[Any]:
    owners: list[Owner] = []

    def make(address: str, **options: Any) -> Owner:
        owners.append(Owner(house, address, **options))
        return owners[-1]

    yield make
    for one in owners:
        one.dialer.stop()


# ------------------------------------------------------------------------------------------------------- schedule


def test_k11_the_schedule_grows_by_1_6_up_to_5_seconds() -> None:
    class Middle(random.Random):
        def random(self) -> float:
            return 0.5

    backoff = Backoff(Middle())
    delays = [backoff.next() for _ in range(12)]
    assert delays == pytest.approx([min(0.1 * 1.6**number, 5.0) for number in range(12)])
    backoff.reset()
    assert backoff.next() == pytest.approx(0.1)


def test_k11_every_delay_lies_within_20_percent_and_they_differ() -> None:
    for seed in range(200):
        backoff = Backoff(random.Random(seed))
        delays = [backoff.next() for _ in range(15)]
        ratios = [delay / min(0.1 * 1.6**number, 5.0) for number, delay in enumerate(delays)]
        assert all(0.8 <= ratio <= 1.2 for ratio in ratios)
        assert max(ratios) - min(ratios) > 0.1


def test_a24_500_nodes_do_not_come_back_as_one() -> None:
    """After a long outage all of them dial at some moment of five seconds, and not at the same."""
    chance = random.Random(24)
    moments = []
    for _ in range(500):
        backoff = Backoff(random.Random(chance.random()))
        moment = 0.0
        while moment < 300:
            moment += backoff.next()
        moments.append(moment - 300)
    slots = [0] * 70
    for moment in moments:
        slots[int(moment * 10)] += 1
    assert max(slots) <= 500 * 0.05
    assert max(moments) <= 6.0


def test_nobody_there_is_dialed_in_the_schedule(house: Any, owner: Any, until: Any) -> None:
    one = owner(f"127.0.0.1:{free_port()}")
    one.dialer.start()
    until(lambda: len(one.tries) >= 5)
    expected = [0.1 * 1.6**number for number in range(4)]
    for gap, delay in zip(one.gaps(), expected, strict=False):
        assert 0.8 * delay <= gap <= 1.2 * delay + 0.5
    assert one.dialer.channel is None
    assert one.dialer.statistics()["dials_total"] >= 5


def test_an_open_port_without_a_hello_does_not_shorten_the_delay(house: Any, owner: Any, until: Any) -> None:
    listener = house.network.listen("127.0.0.1", 0, lambda transport: transport.close())
    one = owner(listener.address)
    one.dialer.start()
    until(lambda: len(one.tries) >= 5)
    gaps = one.gaps()
    assert gaps[3] > 0.8 * 0.1 * 1.6**3
    assert one.connected == []
    listener.close()


def test_a_peers_hello_shortens_it_again(house: Any, owner: Any, until: Any) -> None:
    port = free_port()
    one = owner(f"127.0.0.1:{port}")
    one.dialer.start()
    until(lambda: len(one.tries) >= 4)
    house._listeners.append(house.network.listen("127.0.0.1", port, house._on_accept))
    until(lambda: one.connected)
    begin = time.monotonic()
    house.accepted[-1].close()
    until(lambda: len(one.connected) == 2)
    assert time.monotonic() - begin < 0.5


# ------------------------------------------------------------------------------------------------------ connecting


def test_start_order_does_not_matter(house: Any, owner: Any, until: Any) -> None:
    port = free_port()
    one = owner(f"127.0.0.1:{port}")
    one.dialer.start()
    gevent.sleep(0.05)
    house.served = {"echo": lambda _channel, value: value}
    house._listeners.append(house.network.listen("127.0.0.1", port, house._on_accept))
    channel = one.dialer.wait_connected(5)
    assert channel is one.dialer.channel
    assert channel.call("echo", 1) == 1


@pytest.mark.parametrize("reset", [False, True])
def test_a_lost_channel_is_replaced_again_and_again(house: Any, owner: Any, until: Any, reset: bool) -> None:
    one = owner(house.serve({"echo": lambda _channel, value: value}))
    one.dialer.start()
    for number in range(5):
        until(lambda number=number: len(one.connected) == number + 1)
        assert one.dialer.channel.call("echo", number) == number
        if reset:
            house.accepted[-1].stream._transport.abort()
            house.accepted[-1].close()
        else:
            house.accepted[-1].close()
        until(lambda number=number: len(one.lost) == number + 1)
        assert one.dialer.channel is None
    assert len(set(map(id, one.connected))) == 5
    assert one.dialer.statistics()["connections_total"] == 5


def test_the_owner_is_told_before_the_peers_first_request_runs(house: Any, owner: Any, until: Any) -> None:
    address = house.serve(on_ready=lambda channel: channel.notify("note"))
    one = owner(address)
    told: list[int] = []
    one.handlers["note"] = lambda _channel: told.append(len(one.connected))
    one.dialer.start()
    until(lambda: told)
    assert told == [1]


def test_wait_connected_gives_up_in_time(house: Any, owner: Any) -> None:
    one = owner(f"127.0.0.1:{free_port()}")
    one.dialer.start()
    begin = time.monotonic()
    assert one.dialer.wait_connected(0.1) is None
    assert time.monotonic() - begin < 5


# -------------------------------------------------------------------------------------------------------- going wrong


class Broken:
    """A network that fails in every way, one after another, and then works."""

    def __init__(self, network: Any, errors: list[BaseException]) -> None:
        self.network = network
        self.errors = errors

    def dial(self, host: str, port: int, *, timeout: float) -> Any:
        if self.errors:
            raise self.errors.pop(0)
        return self.network.dial(host, port, timeout=timeout)


def test_it_survives_whatever_dialing_raises(
    house: Any, owner: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1)
    one = owner(house.serve())
    errors = [OSError(113, "no route"), TimeoutError(), ValueError("idna"), gevent.Timeout(1), socket.gaierror(-2, "x")]
    one.network = Broken(house.network, errors)
    one.dialer.start()
    until(lambda: one.connected)
    assert len(one.tries) == 6


def test_it_survives_an_owner_that_cannot_make_a_channel(
    house: Any, owner: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [ValueError("not now"), KeyError("nor now")]
    made: list[Any] = []

    def make(transport: Any, **callbacks: Any) -> Any:
        if failures:
            raise failures.pop(0)
        made.append(transport)
        return one.make(transport, **callbacks)

    one = owner(house.serve(), make_channel=make)
    one.dialer.start()
    until(lambda: one.connected)
    assert len(made) == 1
    assert caplog.text.count("cannot dial") == 2


def test_it_is_told_why_it_is_refused_and_may_stop(house: Any, owner: Any, until: Any) -> None:
    refused: list[Any] = []

    def give_up(error: Any) -> None:
        refused.append(error)
        one.dialer.stop()

    one = owner(house.serve(accept=lambda _identity: "old_epoch"), on_refused=give_up)
    one.dialer.start()
    until(lambda: refused)
    assert refused[0].code == "old_epoch"
    gevent.sleep(0.3)
    assert len(one.tries) == 1


def test_a_refused_node_goes_on_in_the_schedule_and_logs_once(
    house: Any, owner: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answers = ["busy", "busy", "busy", None]
    one = owner(
        house.serve(accept=lambda _identity: answers.pop(0)), identity=PeerIdentity("world-3", "world", (), 3, 3)
    )
    one.dialer.start()
    until(lambda: one.connected)
    assert [error.code for error in one.refused] == ["busy"] * 3
    assert sum("refuses this server" in record.getMessage() for record in caplog.records) == 1
    assert one.gaps()[2] > 0.8 * 0.256


def test_after_a_minute_one_alarm_is_logged(
    house: Any, owner: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Clock:
        offset = 0.0

        def monotonic(self) -> float:
            return time.monotonic() + self.offset

        def time(self) -> float:
            return time.time()

    clock = Clock()
    caplog.set_level(logging.INFO)
    port = free_port()
    one = owner(f"127.0.0.1:{port}", clock=clock)
    one.dialer.start()
    until(lambda: len(one.tries) >= 2)
    assert "no connection" not in caplog.text
    clock.offset = 61.0
    tries = len(one.tries)
    until(lambda: len(one.tries) >= tries + 2)
    assert caplog.text.count("no connection") == 1
    house._listeners.append(house.network.listen("127.0.0.1", port, house._on_accept))
    until(lambda: one.connected)
    assert caplog.text.count("connected to") == 1


def test_a_silent_root_is_left_after_the_hellos_deadline(house: Any, owner: Any, until: Any, limits: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    one = owner(f"{host}:{port}", limits=limits(hello_timeout=0.1))
    one.dialer.start()
    until(lambda: len(one.tries) >= 3)
    listener.close()


# ----------------------------------------------------------------------------------------------------------- stopping


@pytest.mark.parametrize("state", ["connected", "dialing", "waiting", "hello", "not started"])
def test_a_stopped_dialer_dials_no_more(house: Any, owner: Any, until: Any, state: str) -> None:
    if state == "connected":
        one = owner(house.serve())
    elif state == "hello":
        listener = socket.create_server(("127.0.0.1", 0))
        one = owner("{}:{}".format(*listener.getsockname()))
    else:
        one = owner(f"127.0.0.1:{free_port()}")
    if state == "dialing":
        one.network = type("Slow", (), {"dial": lambda *_arguments, **_options: gevent.sleep(30)})()
    if state != "not started":
        one.dialer.start()
        until(lambda: one.connected if state == "connected" else one.tries)
        gevent.sleep(0.02)
    one.dialer.stop("stopping")
    one.dialer.stop("stopping")
    tries = len(one.tries)
    gevent.sleep(0.3)
    assert len(one.tries) == tries
    assert one.dialer.channel is None
    assert one.lost == (["stopping"] if state == "connected" else [])
    assert one.dialer._greenlet is None or one.dialer._greenlet.dead
    if state == "hello":
        listener.close()
