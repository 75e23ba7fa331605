from __future__ import annotations

import logging
import time
from collections.abc import Callable

import gevent
import pytest

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


@pytest.mark.parametrize("request_bytes", BAD.values(), ids=BAD.keys())
def test_what_is_no_clean_request_is_refused_and_others_are_served(serve: Callable, request_bytes: bytes) -> None:
    site = serve(routes=True)
    assert site.send(request_bytes).status == 400
    assert site.get("/").status == 200


def test_a_body_in_chunks_is_refused_whatever_its_length_says(serve: Callable) -> None:
    site = serve(routes=True)
    head = b"POST /point HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n"
    for rest in (
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"Content-Length: 5\r\n\r\nhello",
        b"\r\n5\r\nhello\r\n0\r\nX: \r\rY\r\n",
    ):
        assert site.send(head + rest).status == 411


def test_a_line_too_long_and_a_head_too_large_are_refused(serve: Callable) -> None:
    site = serve("max_head = 2048")
    assert site.send(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n").status == 414
    one_large = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 3000 + b"\r\n\r\n"
    many_small = b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"X%d: y\r\n" % n for n in range(400)) + b"\r\n"
    assert site.send(one_large).status == 431
    assert site.send(many_small).status == 431


def test_a_body_too_large_is_refused_before_it_is_read(serve: Callable) -> None:
    site = serve("max_body = 1000", routes=True)
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
    site = serve("head_timeout = 0.2", routes=True)
    with site.connect() as client:
        client.sendall(begun)
        assert client.recv(100).startswith(b"HTTP/1.1 408")


def test_a_request_that_drips_is_ended_by_the_whole_time_not_by_each_byte(serve: Callable) -> None:
    site = serve("head_timeout = 0.3")
    with site.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        began = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012  the server closes some time while we drip
            while time.monotonic() - began < 10:
                client.sendall(b"X")
                gevent.sleep(0.05)
        assert time.monotonic() - began < 5


def test_a_connection_that_says_nothing_is_closed(serve: Callable) -> None:
    site = serve("idle_timeout = 0.2")
    with site.connect() as client:
        assert client.recv(100) == b""


def test_a_client_that_takes_nothing_does_not_hold_its_answer_for_ever(serve: Callable) -> None:
    site = serve("timeout = 0.3")
    (site.folder / "large.bin").write_bytes(b"\0" * 30_000_000)
    with site.connect() as client:
        client.sendall(b"GET /large.bin HTTP/1.1\r\n" + HOST + b"\r\n")
        with gevent.Timeout(5):
            while site.web.statistics()["late_or_lost_total"] == 0:
                gevent.sleep(0.02)
            while site.web.statistics()["connections"]:
                gevent.sleep(0.02)


def test_one_connection_serves_one_request_after_the_other(serve: Callable) -> None:
    site = serve(routes=True)
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
        assert b'{"x":2}' in seen


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(serve: Callable) -> None:
    site = serve(routes=True)
    with site.connect() as client:
        client.sendall(b"POST /point HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(b"ab")
        assert b'{"x":2}' in client.recv(4096)


def test_one_connection_too_many_is_told_so_at_once_and_the_others_are_served(serve: Callable) -> None:
    site = serve("max_connections = 3")
    held = [site.connect() for _ in range(3)]
    try:
        for client in held:
            client.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        with site.connect() as extra:
            assert extra.recv(100).startswith(b"HTTP/1.1 503")
        held.pop().close()
        with gevent.Timeout(5):
            while site.web.statistics()["connections"] == 3:
                gevent.sleep(0.01)
        assert site.get("/").status == 200
        assert site.web.statistics()["turned_away_total"] == 1
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
