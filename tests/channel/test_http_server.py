"""Requests as bytes to a server of its own, with a small application behind it."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import gevent
import pytest

from firefly_core.channel.http_server import HttpLimits, HttpServer

HOST = b"Host: localhost\r\n"
BAD = {
    "not HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a game frame": b"\x00" * 9 + b"\x00\x00\x00\x08\x00\x00\x00\x65{}\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version that is none": b"GET / HTTP/x.y\r\n" + HOST + b"\r\n",
    "a version with one number": b"GET / HTTP/1\r\n" + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    "two lengths": b"POST /point HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length below nothing": b"POST /point HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
    "a length in other digits": b"POST /point HTTP/1.1\r\n" + HOST + b"Content-Length: 1_0\r\n\r\n0123456789",
    "a length with a sign": b"POST /point HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\n01234",
    "a header without a colon": b"GET / HTTP/1.1\r\nnonsense\r\n" + HOST + b"\r\n",
}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    body = environ["wsgi.input"].read()
    answer = {"/bytes": b"\0\1", "/point": b"%d bytes" % len(body), "/large": bytes(30_000_000)}
    if environ["PATH_INFO"] == "/broken":
        raise RuntimeError("secret of the house")
    if environ["PATH_INFO"] == "/slow":
        gevent.sleep(30)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.get(environ["PATH_INFO"], b"the meadow")]


class Answer(NamedTuple):
    status: int
    body: bytes


class Site(NamedTuple):
    server: HttpServer

    def connect(self) -> socket.socket:
        return socket.create_connection(self.server.address, timeout=10)

    def send(self, data: bytes) -> Answer:
        with self.connect() as client:
            client.sendall(data)
            file = client.makefile("rb")
            status = int(file.readline().split()[1])
            length = 0
            while (field := file.readline().strip().lower()) != b"":
                length = int(field[15:]) if field.startswith(b"content-length:") else length
            return Answer(status, file.read(length))

    def get(self, path: str, method: str = "GET", body: bytes = b"") -> Answer:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        return self.send(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}Connection: close\r\n\r\n".encode() + body
        )


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """Give a function that starts a server with these limits; it is stopped after the test."""
    servers: list[HttpServer] = []

    def start(**limits: Any) -> Site:
        server = HttpServer(("127.0.0.1", 0), application, HttpLimits(**limits), logging.getLogger("firefly.test"))
        servers.append(server)
        server.start()
        return Site(server)

    yield start
    for server in servers:
        server.stop(timeout=0.5)


@pytest.mark.parametrize("request_bytes", BAD.values(), ids=BAD.keys())
def test_what_is_no_clean_request_is_refused_and_others_are_served(serve: Callable, request_bytes: bytes) -> None:
    site = serve()
    assert site.send(request_bytes).status == 400
    assert site.get("/").status == 200


def test_a_body_in_chunks_is_refused_whatever_its_length_says(serve: Callable) -> None:
    site = serve()
    head = b"POST /point HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n"
    for rest in (
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"Content-Length: 5\r\n\r\nhello",
        b"\r\n5\r\nhello\r\n0\r\nX: \r\rY\r\n",
    ):
        assert site.send(head + rest).status == 411


def test_a_line_too_long_and_a_head_too_large_are_refused(serve: Callable) -> None:
    site = serve(max_head=2048)
    assert site.send(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n").status == 414
    one_large = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 3000 + b"\r\n\r\n"
    many_small = b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X%d: y\r\n" % n for n in range(400)) + b"\r\n"
    assert site.send(one_large).status == 431
    assert site.send(many_small).status == 431


def test_a_body_too_large_is_refused_before_it_is_read(serve: Callable) -> None:
    site = serve(max_body=1000)
    assert site.get("/point", method="POST", body=b"a" * 1000).status == 200
    huge = b"POST /point HTTP/1.1\r\n" + HOST + b"Content-Length: 999999999999\r\n\r\n"
    assert site.send(huge).status == 413


@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HTTP/1.1\r\nHost: local",
        b"GET / HTTP/1.1\r\n" + HOST,
        b"POST /point HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc",
    ],
    ids=["in a header", "between headers", "in the body"],
)
def test_a_request_that_is_never_finished_is_told_so_and_ended(serve: Callable, begun: bytes) -> None:
    site = serve(head_timeout=0.2)
    with site.connect() as client:
        client.sendall(begun)
        assert client.recv(100).startswith(b"HTTP/1.1 408")


def test_a_request_that_drips_is_ended_by_the_whole_time_not_by_each_byte(serve: Callable) -> None:
    site = serve(head_timeout=0.3)
    with site.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        began = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012  the server closes some time while we drip
            while time.monotonic() - began < 10:
                client.sendall(b"X")
                gevent.sleep(0.05)
        assert time.monotonic() - began < 5


def test_a_connection_that_says_nothing_is_closed(serve: Callable) -> None:
    site = serve(idle_timeout=0.2)
    with site.connect() as client:
        assert client.recv(100) == b""


def test_a_client_that_takes_nothing_does_not_hold_its_answer_for_ever(serve: Callable) -> None:
    site = serve(timeout=0.3)
    with site.connect() as client:
        client.sendall(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        with gevent.Timeout(5):
            while site.server.counts["late_or_lost"] == 0:
                gevent.sleep(0.02)
            while site.server.open:
                gevent.sleep(0.02)


def test_one_connection_serves_one_request_after_the_other(serve: Callable) -> None:
    site = serve()
    with site.connect() as client:
        client.sendall(
            b"POST /point HTTP/1.1\r\n"
            + HOST
            + b"Content-Length: 2\r\n\r\nab"
            + b"GET /bytes HTTP/1.1\r\n"
            + HOST
            + b"\r\n"
        )
        seen = b""
        while seen.count(b"HTTP/1.1 200") < 2 or not seen.endswith(b"\0\1"):
            seen += client.recv(65536)
        assert b"2 bytes" in seen


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(serve: Callable) -> None:
    site = serve()
    with site.connect() as client:
        client.sendall(b"POST /point HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(b"ab")
        assert b"2 bytes" in client.recv(4096)


def test_one_connection_too_many_is_told_so_at_once_and_the_others_are_served(serve: Callable) -> None:
    site = serve(max_connections=3)
    held = [site.connect() for _ in range(3)]
    try:
        for client in held:
            client.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        with site.connect() as extra:
            assert extra.recv(100).startswith(b"HTTP/1.1 503")
        held.pop().close()
        with gevent.Timeout(5):
            while site.server.open == 3:
                gevent.sleep(0.01)
        assert site.get("/").status == 200
        assert site.server.counts["turned_away"] == 1
    finally:
        for client in held:
            client.close()


def test_control_characters_of_a_request_do_not_reach_the_log(
    serve: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve()
    with caplog.at_level(logging.DEBUG):
        site.send(b"GET /\x1b[2J\x07 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert any("x1b[2J" in record.getMessage() for record in caplog.records)
    assert not any("\x1b" in record.getMessage() for record in caplog.records)


def test_the_query_of_a_request_does_not_reach_the_log(serve: Callable, caplog: pytest.LogCaptureFixture) -> None:
    site = serve()
    with caplog.at_level(logging.DEBUG):
        assert site.get("/bytes?token=canary").status == 200
    assert any("/bytes" in record.getMessage() for record in caplog.records)
    assert "canary" not in caplog.text


def test_what_the_application_lets_through_is_told_as_500_and_logged(
    serve: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve()
    answer = site.get("/broken")
    assert answer == (500, b"500 Internal Server Error\n")
    assert "secret of the house" in caplog.text


def test_an_answer_that_does_not_come_in_time_is_told_as_503(serve: Callable) -> None:
    assert serve(timeout=0.2).get("/slow").status == 503


def test_a_draining_server_finishes_what_was_asked_and_takes_nobody(serve: Callable) -> None:
    site = serve(timeout=1.0)
    with site.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n")
        with gevent.Timeout(5):
            while not site.server.busy:
                gevent.sleep(0.01)
            site.server.drain()
        assert client.recv(100).startswith(b"HTTP/1.1 503")
    with pytest.raises(ConnectionRefusedError):
        site.connect()
