"""Who has gone silent is asked, and then left."""

from __future__ import annotations

import time
from typing import Any

import gevent
import pytest

from firefly_core.errors import Disconnected


def echo(_channel: Any, *params: Any) -> Any:
    return list(params)


def pings(channel: Any) -> list[int]:
    """Count the pings that `channel` sends from now on."""
    sent: list[int] = []
    send = channel.send
    channel.send = lambda message: (sent.append(1) if "firefly.ping" in message else None, send(message))[1]
    return sent


def test_k12_a_silent_channel_is_kept_alive_by_pings(house: Any, limits: Any) -> None:
    client, server = house.pair({"echo": echo}, limits=limits(ping_after=0.2, dead_after=1.0))
    sent = pings(client), pings(server)
    gevent.sleep(1.5)
    assert not client.closed
    assert not server.closed
    assert client.call("echo", 1) == [1]
    assert 3 <= sum(map(len, sent)) <= 16


def test_k12_a_peer_that_answers_nothing_is_dead(house: Any, limits: Any, until: Any) -> None:
    client, server = house.pair({"echo": echo}, limits=limits(ping_after=0.2, dead_after=0.4))
    server.stream.pause_reading()
    server._liveness.stop()
    begin = time.monotonic()
    with pytest.raises(Disconnected) as caught:
        client.call("echo")
    assert 0.35 < time.monotonic() - begin < 4
    assert caught.value.sent
    assert client.reason == "dead"


def test_a_busy_channel_is_not_pinged(house: Any, limits: Any) -> None:
    client, server = house.pair({"echo": echo}, limits=limits(ping_after=0.6, dead_after=2.0))
    sent = pings(client), pings(server)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        client.call("echo")
        gevent.sleep(0.02)
    assert sent == ([], [])


def test_any_byte_is_a_sign_of_life(house: Any, limits: Any) -> None:
    """A large frame that takes its time is no silence."""
    client, server = house.pair({"echo": echo}, limits=limits(ping_after=0.5, dead_after=1.0))
    server._liveness.stop()  # its ping would stand in the middle of the frame
    frame = server._pack((2, "nothing", [b"x" * 60]))
    for byte in frame:
        server.stream.write(bytes((byte,)))
        gevent.sleep(0.02)
    assert not client.closed


def test_c3_who_was_busy_himself_does_not_blame_the_peer(house: Any, limits: Any) -> None:
    client, server = house.pair({"echo": echo}, limits=limits(ping_after=0.1, dead_after=0.3))
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        pass
    gevent.sleep(0.3)
    assert not client.closed
    assert not server.closed
    assert client.call("echo", 1) == [1]


def test_a_closed_channel_is_watched_no_more(house: Any, limits: Any) -> None:
    client, server = house.pair({"echo": echo}, limits=limits(ping_after=0.05, dead_after=0.1))
    sent = pings(client)
    client.close()
    gevent.sleep(0.3)
    assert sent == []
    assert [reason for channel, reason in house.lost if channel is client] == ["closed"]
    assert server.closed
