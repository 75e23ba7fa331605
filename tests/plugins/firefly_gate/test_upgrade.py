"""The opening handshake: who is let in, and what everybody else is told."""

import pytest
from firefly_gate.upgrade import LARGEST_HEAD, Refused, accept, take
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

HERE = ("http://127.0.0.1:8000",)
HEADERS = {
    "Host": "127.0.0.1:11010",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def request(line="GET / HTTP/1.1", more=b"", **changes) -> bytes:
    headers = HEADERS | {name.replace("_", "-"): value for name, value in changes.items()}
    text = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return f"{line}\r\n{text}".encode() + more + b"\r\n"


def refusal(head, *, path="/", origins=None) -> Refused:
    with pytest.raises(Refused) as refused:
        take(head, path, origins)
    assert refused.value.response.startswith(b"HTTP/1.1 ")
    assert b"\r\n\r\n" in refused.value.response
    assert b"Traceback" not in refused.value.response
    return refused.value


def status(refused: Refused) -> int:
    return int(refused.response.split()[1])


def test_the_example_of_the_rfc_is_answered_as_the_rfc_says():
    assert accept(request(), "/", None).answer == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )


def test_a_client_that_others_wrote_is_let_in_and_its_first_frames_are_kept():
    client = ClientProtocol(parse_uri("ws://127.0.0.1:11010/play?token=secret"), origin=HERE[0])
    client.send_request(client.connect())
    head = b"".join(client.data_to_send())
    opened, rest = take(head + b"\x82\x80abcd", "/play", HERE)
    assert rest == b"\x82\x80abcd"
    client.receive_data(opened.answer)
    assert client.handshake_exc is None
    assert client.events_received()[0].status_code == 101


def test_compression_and_subprotocols_are_not_taken_up():
    offers = {"Sec-WebSocket-Extensions": "permessage-deflate", "Sec-WebSocket-Protocol": "chat"}
    answer = accept(request(**{name.replace("-", "_"): value for name, value in offers.items()}), "/", None).answer
    assert b"Extensions" not in answer
    assert b"Protocol:" not in answer


def test_an_incomplete_request_is_waited_for_at_every_offset():
    head = request()
    for offset in range(len(head)):
        assert take(head[:offset], "/", None) is None
    assert take(head, "/", None) is not None


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://127.0.0.1:8000", True),
        ("HTTP://127.0.0.1:8000", False),
        ("http://127.0.0.1:80000", False),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:8000/", False),
        ("https://127.0.0.1:8000", False),
        ("http://127.0.0.1:8000.evil.example", False),
        ("http://evil.example/http://127.0.0.1:8000", False),
        ("http://user@127.0.0.1:8000", False),
        ("null", False),
        ("none", False),
        ("*", False),
        ("", False),
        (None, False),
    ],
)
def test_only_a_listed_origin_is_let_in(origin, allowed):
    head = request(Origin=origin)
    if allowed:
        assert accept(head, "/", HERE).answer.startswith(b"HTTP/1.1 101 ")
    else:
        refused = refusal(head, origins=HERE)
        assert (refused.reason, status(refused)) == ("bad_origin", 403)


def test_none_lets_clients_in_that_are_no_page():
    assert accept(request(), "/", ("none",)).answer.startswith(b"HTTP/1.1 101 ")
    assert refusal(request(Origin="none"), origins=("none",)).reason == "bad_origin"
    assert refusal(request(Origin=HERE[0]), origins=("none",)).reason == "bad_origin"


def test_a_star_lets_everybody_in_and_an_empty_list_nobody():
    for origin in (None, "http://evil.example", "null"):
        assert accept(request(Origin=origin), "/", ("*",)).answer.startswith(b"HTTP/1.1 101 ")
        assert refusal(request(Origin=origin), origins=()).reason == "bad_origin"


def test_two_origins_are_refused():
    refused = refusal(request(Origin=HERE[0], more=b"Origin: http://evil.example\r\n"), origins=HERE)
    assert status(refused) == 400


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (request("POST / HTTP/1.1"), 405),
        (request("HEAD / HTTP/1.1"), 405),
        (request("GET / HTTP/1.0"), 505),
        (request("GET / HTTP/2"), 400),
        (request("GET /"), 400),
        (request("GET"), 400),
        (request(Upgrade=None), 426),
        (request(Upgrade="h2c"), 426),
        (request(Connection="keep-alive"), 426),
        (request(Connection=None), 426),
        (request(Sec_WebSocket_Key=None), 400),
        (request(Sec_WebSocket_Key="short"), 400),
        (request(Sec_WebSocket_Key="dG9vIHNob3J0"), 400),
        (request(Sec_WebSocket_Key="not base64 at all!!!!!!!"), 400),
        (request(more=b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400),
        (request(Sec_WebSocket_Version="12"), 400),
        (request(Sec_WebSocket_Version=None), 400),
        (request(Content_Length="4"), 400),
        (request(Transfer_Encoding="chunked"), 400),
        (request(more=b"no colon\r\n"), 400),
        (request(more=b" folded: x\r\n"), 400),
        (request(more=b"a: b\r\n" * 129), 431),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"A\r\n\r\n", 400),
    ],
)
def test_a_request_for_anything_else_is_refused_with_a_status(head, code):
    refused = refusal(head)
    assert refused.reason == "bad_handshake"
    assert status(refused) == code


def test_another_path_is_not_found_and_the_query_is_not_looked_at():
    assert status(refusal(request("GET /other HTTP/1.1"))) == 404
    assert refusal(request("GET /other HTTP/1.1")).reason == "bad_path"
    assert accept(request("GET /?token=secret HTTP/1.1"), "/", None).answer.startswith(b"HTTP/1.1 101 ")


def test_what_stands_in_the_query_comes_back_in_no_answer():
    for head in (request("GET /other?token=secret HTTP/1.1"), request("GET /?token=secret HTTP/1.1", Upgrade=None)):
        refused = refusal(head)
        assert b"secret" not in refused.response
        assert "secret" not in str(refused)


@pytest.mark.parametrize("first", [b"\x16\x03\x01", b"\x00", b"\xff", b"\r\n", b" GET", b"{", b"get / HTTP/1.1\r\n"])
def test_what_is_not_http_is_refused_at_its_first_byte(first):
    assert status(refusal(first[:1])) == 400
    assert refusal(first).reason == "bad_handshake"


def test_a_request_longer_than_eight_kibibytes_is_refused():
    room = LARGEST_HEAD - len(request(more=b"a: \r\n"))
    assert accept(request(more=b"a: " + b"x" * room + b"\r\n"), "/", None).answer.startswith(b"HTTP/1.1 101 ")
    for more in (b"a: " + b"x" * (room + 1) + b"\r\n", b"a: " + b"x" * 9000 + b"\r\n", b"a: b\r\n" * 2000):
        refused = refusal(request(more=more))
        assert (refused.reason, status(refused)) == ("handshake_too_long", 431)
    assert take(b"G" * (LARGEST_HEAD - 1), "/", None) is None
    assert refusal(b"G" * LARGEST_HEAD).reason == "handshake_too_long"
