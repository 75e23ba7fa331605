"""What waits for the peer: bounded, in order, and truthfully accounted for."""

from __future__ import annotations

import time
from typing import Any

import gevent
import pytest

from firefly_core.errors import CallError, Disconnected, Overloaded, RemoteError


def echo(_channel: Any, *params: Any) -> Any:
    return list(params)


def fill(client: Any, body: bytes) -> int:
    """Send notifications until no more are taken."""
    sent = 0
    while client.notify("note", body):
        sent += 1
        if sent % 64 == 0:
            gevent.sleep(0)
        assert sent < 100_000
    return sent


@pytest.mark.parametrize("size", [300, 100_000])
def test_k8_a_full_outbox_says_so_and_blocks_nobody(house: Any, size: int) -> None:
    heard: list[int] = []
    client, server = house.pair({"note": lambda _channel, body: heard.append(len(body)), "echo": echo})
    server.stream.pause_reading()
    begin = time.monotonic()
    sent = fill(client, b"x" * size)
    figures = client.statistics()
    assert figures["outbox_frames"] >= 4096 or figures["outbox_bytes"] >= 8 << 20
    assert figures["outbox_frames"] < 4096 + 64
    assert figures["outbox_bytes"] < (8 << 20) + 65 * (size + 20) + (1 << 20)
    with pytest.raises(Overloaded):
        client.call("echo")
    with pytest.raises(Overloaded):
        client.call_later("echo", (), lambda _error, _result: None)
    assert time.monotonic() - begin < 4
    assert client.statistics()["overloaded_total"] == 3
    server.stream.resume_reading()
    while len(heard) < sent:
        gevent.sleep(0.001)
    assert client.call("echo", 1) == [1]
    assert heard == [size] * sent
    assert not client.outbox.full


def test_k10_a_peer_that_takes_nothing_is_closed(house: Any, limits: Any) -> None:
    client, server = house.pair({"note": echo}, limits=limits(send_timeout=0.3))
    server.stream.pause_reading()
    waiting: list[Any] = []
    client.call_later("note", (), lambda error, _result: waiting.append(error))
    fill(client, b"x" * 10_000)
    begin = time.monotonic()
    while not client.closed:
        gevent.sleep(0.001)
    assert client.reason == "slow_consumer"
    assert time.monotonic() - begin < 4
    gevent.sleep(0)
    assert [type(error) for error in waiting] == [Disconnected]
    assert client.statistics()["outbox_frames"] == 0 or not client.notify("note")


@pytest.mark.parametrize("size", [1_048_000, 1_048_576])
def test_k13_a_frame_has_at_most_1_mib(house: Any, size: int) -> None:
    client, server = house.pair({"size": lambda _channel, body: len(body), "give": lambda _channel, size: b"x" * size})
    if size < 1_048_576 - 100:
        assert client.call("size", b"x" * size) == size
        assert client.call("give", size) == b"x" * size
        assert server.call("firefly.ping") is None
    else:
        with pytest.raises(Overloaded):
            client.call("size", b"x" * size)
        with pytest.raises(Overloaded):
            client.notify("size", b"x" * size)
        with pytest.raises(RemoteError, match="too_large"):
            client.call("give", size)
    assert client.call("size", b"") == 0


def test_requests_of_who_does_not_read_his_answers_are_not_started(house: Any) -> None:
    """Small requests for large results: the bound holds the answers too."""
    started: list[int] = []

    def give(_channel: Any, number: int) -> bytes:
        started.append(number)
        return b"x" * 500_000

    client, server = house.pair({"give": give})
    client.stream.pause_reading()
    ends: dict[int, Any] = {}
    for number in range(500):
        client.call_later("give", (number,), lambda error, _result, number=number: ends.setdefault(number, error))
    while server.statistics()["requests_total"] < 500:
        gevent.sleep(0.001)
    assert server.statistics()["outbox_bytes"] < 20 << 20
    client.stream.resume_reading()
    while len(ends) < 500:
        gevent.sleep(0.001)
    overloaded = {number for number, error in ends.items() if error is not None}
    assert all(type(ends[number]) is Overloaded for number in overloaded)
    assert overloaded.isdisjoint(started)
    assert len(overloaded) + len(started) == 500
    assert len(overloaded) > 400


def test_who_only_asks_and_never_reads_is_closed(house: Any, limits: Any) -> None:
    client, server = house.pair({"echo": echo}, limits=limits(outbox_frames=100, send_timeout=60))
    client.stream.pause_reading()
    body = b"x" * 3000
    while not server.closed:
        client.send((0, 99, "echo", [body]))
        client.outbox.flush()
        gevent.sleep(0.00001)
    assert (server.reason, client.reason) == ("slow_consumer", "")


def test_large_results_that_find_the_outbox_full_are_told_as_executed(house: Any) -> None:
    started = []

    def give(_channel: Any) -> bytes:
        started.append(1)
        gevent.sleep(0.01)
        return b"x" * 1_000_000

    client, _ = house.pair({"give": give})
    client.stream.pause_reading()
    ends: list[Any] = []
    for _ in range(60):
        client.call_later("give", (), lambda error, _result: ends.append(error))
    gevent.sleep(0.3)
    client.stream.resume_reading()
    while len(ends) < 60:
        gevent.sleep(0.001)
    codes = {error.code for error in ends if error is not None}
    assert codes == {"result_dropped"}
    assert len(started) == 60


def test_what_a_turn_packs_leaves_in_one_piece(house: Any) -> None:
    client, _ = house.pair({"echo": echo})
    pieces: list[int] = []
    write = client.stream._send
    client.stream._send = lambda data: pieces.append(len(data)) or write(data)
    for number in range(20):
        client.notify("echo", number)
    client.call("echo")
    assert len(pieces) == 1


def test_much_leaves_early_so_that_both_ends_work(house: Any) -> None:
    client, _ = house.pair({"echo": echo})
    pieces: list[int] = []
    write = client.stream._send
    client.stream._send = lambda data: pieces.append(len(data)) or write(data)
    for number in range(100):
        client.notify("echo", number)
    assert len(pieces) == 3
    client.notify("echo", b"x" * 8192)
    assert len(pieces) == 4


def test_the_last_words_before_a_close_arrive(house: Any, until: Any) -> None:
    heard: list[Any] = []
    client, server = house.pair({"note": lambda _channel, number: heard.append(number)})
    for number in range(100):
        client.notify("note", number)
    client.close_after_flush("done")
    assert client.closed
    with pytest.raises(CallError):
        client.call("note")
    until(lambda: server.closed)
    assert heard == list(range(100))
