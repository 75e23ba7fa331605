"""The blocking client as its user meets it, on greenlets here; real threads play in test_sessions.py."""

from __future__ import annotations

import gc
import logging
import threading
import weakref

import gevent
import pytest
from firefly_client import Client, Limits, ServerError, State


@pytest.fixture
def make_client(server):
    made = []

    def make(name="ann", **options):
        url = f"tcp://127.0.0.1:{server.ports['json']}"
        made.append(Client(url, login=lambda line: line.request("login", name), **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_a_handler_may_ask_and_wait_for_the_answer(make_client, wait_until):
    client = make_client()
    heard = []

    @client.on("news")
    def news(body):
        heard.append(client.request("echo", body))

    client.connect()
    client.request("tell", "hello")
    wait_until(lambda: heard == ["hello"], "the answer")


def test_a_handler_that_fails_is_logged_and_the_others_are_called(make_client, wait_until, caplog):
    client = make_client()
    heard = []
    client.on("news", lambda body: 1 / 0)
    client.on("news", heard.append)
    client.connect()
    with caplog.at_level(logging.ERROR, "firefly_client"):
        client.request("tell", "hello")
        wait_until(lambda: heard, "the second handler")
    assert "ZeroDivisionError" in caplog.text


def test_handlers_that_are_too_slow_stop_the_reading_and_lose_nothing(make_client, wait_until):
    client = make_client("slow", limits=Limits(pushes=4))
    other = make_client("fast")
    gate = threading.Event()
    heard = []

    @client.on("news")
    def news(body):
        gate.wait(10)
        heard.append(body)

    client.connect()
    other.connect()
    for number in range(50):
        other.request("tell", number)
    assert client._calls.qsize() < 20, "what came in one segment, at most"
    gate.set()
    wait_until(lambda: heard == list(range(50)), heard)


def test_a_hundred_requests_of_ten_threads_have_their_own_answers(make_client):
    client = make_client()
    client.connect()
    greenlets = [gevent.spawn(lambda n=n: [client.request("echo", [n, m]) for m in range(10)]) for n in range(10)]
    assert [greenlet.get() for greenlet in greenlets] == [[[n, m] for m in range(10)] for n in range(10)]


def test_asking_does_not_wait_and_futures_end(make_client):
    client = make_client()
    client.connect()
    futures = [client.ask("echo", number) for number in range(100)]
    refused = client.ask("refuse")
    assert [future.result(5) for future in futures] == list(range(100))
    with pytest.raises(ServerError, match="no_luck: not today"):
        refused.result(5)


def test_a_client_can_connect_again_after_its_end(make_client):
    client = make_client("again")
    first = client.connect()
    client.close()
    assert client.state is State.ENDED
    assert client.connect()["logins"] == first["logins"] + 1
    assert client.request("echo", 1) == 1


def test_who_closes_it_waits_for_the_handlers_of_what_came_before(make_client):
    client = make_client()
    seen = []

    @client.on_state
    def state(now, reason):
        gevent.sleep(0.02)
        seen.append(now)

    client.connect()
    client.close()
    assert seen[-2:] == ["open", "ended"]


def test_a_handler_may_close_it(make_client, wait_until):
    client = make_client()
    seen = []
    client.on_state(lambda state, reason: seen.append(state))
    client.on("news", lambda body: client.close())
    client.connect()
    client.notify("tell", "the end")
    wait_until(lambda: seen[-2:] == ["open", "ended"], seen)


def test_it_is_closed_at_the_end_of_a_with_statement(make_client):
    with make_client() as client:
        assert client.request("echo", 1) == 1
    assert (client.state, client.reason) == (State.ENDED, "closed")


def test_a_client_that_has_ended_leaves_nothing_behind(server):
    client = Client(f"tcp://127.0.0.1:{server.ports['json']}", login=lambda line: line.request("login", "brief"))
    client.on_state(lambda state, reason: None)
    client.connect()
    client.close()
    gone = weakref.ref(client)
    del client
    gevent.sleep(0.05)
    gc.collect()
    assert gone() is None


def test_a_datapack_player_uses_ids(server):
    port = server.ports["datapack"]
    client = Client(
        f"tcp://127.0.0.1:{port}",
        protocol="datapack",
        header=(78, 37, 38, 48, 9, 0),
        login=lambda line: line.request(1, "dora"),
    )
    heard = []
    client.on(2001, heard.append)
    with client:
        assert client.request(7, {"a": 1}) == {"a": 1}
        client.notify(7, "nobody hears the answer")
        with pytest.raises(ServerError, match="no_luck"):
            client.request(5)
        client.request(3, "hello")
        assert client.request(7, 2) == 2
    assert heard == ["hello"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "tcp://127.0.0.1", "127.0.0.1:1", "tcp://:1"])
def test_an_address_that_is_none_is_refused_at_once(url):
    with pytest.raises(ValueError, match="a server's address"):
        Client(url)


def test_a_protocol_that_is_none_is_refused_at_once():
    with pytest.raises(ValueError, match="pomelo"):
        Client("tcp://127.0.0.1:1", protocol="pomelo")
