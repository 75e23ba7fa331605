"""Doors with TLS, and doors behind a proxy."""

import contextlib
import json
import socket
import ssl
import struct
import subprocess

import pytest
from firefly_gate.deflate_layer import deflate
from websockets.sync.client import connect

from firefly_core import command, push
from firefly_core.errors import ConfigurationError
from firefly_core.testing import InProcessCluster

TOML = """
[firefly]
plugins = ["gate", "protocols"]
[servers.gate.gate]
{limits}
listen = {{ url = "{url}", protocol = "{protocol}", origins = ["none"], {keys} }}
"""


news = push(2001, name="news")


@command(1, public=True)
def where(ctx) -> str:
    return ctx.session.address


@command(2, public=True)
def tell_all(ctx, value: str) -> str:
    ctx.session.bind(ctx.session.id)
    ctx.group("all").join(ctx.session)
    ctx.group("all").push(news, value)
    return value


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("papers")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def serve():
    running = []

    def serve(url, keys="proxy = false", limits="", protocol="json"):
        cluster = InProcessCluster(
            TOML.format(url=url, keys=keys, limits=limits, protocol=protocol),
            handlers={"gate": [where, tell_all]},
            network="sockets",
        )
        cluster.__enter__()
        running.append(cluster)
        cluster.start()
        host, _, port = cluster.kernel("gate").services["gate"].doors[0].address.rpartition(":")
        return host, int(port)

    yield serve
    for cluster in running:
        cluster.__exit__(None, None, None)


def ask(sock):
    sock.sendall(b'{"id": 1, "cmd": "where"}\n')
    return json.loads(sock.makefile("rb").readline())["body"]


def trusting(papers):
    return ssl.create_default_context(cafile=papers / "cert.pem")


def with_papers(papers):
    return f'certificate = "{papers}/cert.pem", private_key = "{papers}/key.pem"'


def test_a_client_talks_over_tls(serve, papers):
    address = serve("tls://127.0.0.1:0", with_papers(papers))
    with (
        socket.create_connection(address) as plain,
        trusting(papers).wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        assert secure.version() in ("TLSv1.2", "TLSv1.3")
        assert ask(secure).startswith("127.0.0.1:")


def test_a_page_talks_over_wss(serve, papers):
    host, port = serve("wss://127.0.0.1:0/", with_papers(papers))
    with connect(f"wss://localhost:{port}/", sock=socket.create_connection((host, port)), ssl=trusting(papers)) as page:
        page.send('{"id": 1, "cmd": "where"}')
        assert json.loads(page.recv())["id"] == 1


def test_plain_bytes_at_a_tls_door_are_closed(serve, papers):
    address = serve("tls://127.0.0.1:0", with_papers(papers))
    with socket.create_connection(address) as plain:
        plain.sendall(b'{"id": 1, "cmd": "where"}\n')
        plain.settimeout(10)
        while True:
            try:
                if not plain.recv(4096):
                    break
            except ConnectionResetError:
                break
    with (
        socket.create_connection(address) as plain,
        trusting(papers).wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        assert ask(secure)


@pytest.mark.parametrize(
    ("url", "keys", "said"),
    [
        ("tls://127.0.0.1:0", "proxy = false", "needs a certificate"),
        ("wss://127.0.0.1:0/", 'certificate = "nowhere.pem"', "cannot be used"),
        ("tcp://127.0.0.1:0", 'certificate = "cert.pem"', "does not use it"),
        ("tls://127.0.0.1:0", 'certificate = "firefly.toml"', "cannot be used"),
    ],
)
def test_a_certificate_that_is_missing_or_none_is_a_problem(url, keys, said):
    with pytest.raises(ConfigurationError, match=said):
        InProcessCluster(
            TOML.format(url=url, keys=keys, limits="", protocol="json"), handlers={"gate": [where, tell_all]}
        )


def header(command=0x21, family=0x11, addresses=None, signature=b"\r\n\r\n\0\r\nQUIT\n"):
    if addresses is None:
        addresses = socket.inet_aton("203.0.113.7") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 4711, 443)
    return signature + struct.pack("!BBH", command, family, len(addresses)) + addresses


V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + struct.pack("!HH", 4711, 443)


@pytest.mark.parametrize(
    ("sent", "address"),
    [
        (header(), "203.0.113.7:4711"),
        (header(family=0x21, addresses=V6), "[2001:db8::7]:4711"),
        (header(addresses=header()[16:] + b"\x04\x00\x01\x00"), "203.0.113.7:4711"),
        (header(command=0x20, family=0, addresses=b""), "127.0.0.1:"),
        (header(family=0x31, addresses=bytes(216)), "127.0.0.1:"),
    ],
)
def test_a_trusted_proxy_says_who_its_client_is(serve, sent, address):
    with socket.create_connection(serve("tcp://127.0.0.1:0", "proxy = true")) as proxy:
        for byte in sent:
            proxy.sendall(bytes([byte]))
        assert ask(proxy).startswith(address)


@pytest.mark.parametrize(
    "sent",
    [
        b'{"id": 1, "cmd": "where"}\n',
        header(signature=b"\r\n\r\n\0\r\nQUIX\n"),
        header(command=0x11),
        header(command=0x2F),
        header(addresses=b"short"),
        header(addresses=bytes(1025)),
        b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n",
    ],
)
def test_a_header_that_is_none_is_closed(serve, sent):
    with socket.create_connection(serve("tcp://127.0.0.1:0", "proxy = true")) as proxy:
        proxy.sendall(sent)
        proxy.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert proxy.recv(1) == b""


def test_a_header_that_does_not_end_is_closed(serve):
    with socket.create_connection(serve("tcp://127.0.0.1:0", "proxy = true", "frame_timeout = 0.2")) as proxy:
        proxy.sendall(header()[:20])
        proxy.settimeout(10)
        assert proxy.recv(1) == b""


def test_behind_a_proxy_tls_works_too(serve, papers):
    address = serve("tls://127.0.0.1:0", with_papers(papers) + ", proxy = true")
    with socket.create_connection(address) as plain:
        plain.sendall(header())
        with trusting(papers).wrap_socket(plain, server_hostname="localhost") as secure:
            assert ask(secure) == "203.0.113.7:4711"


# ------------------------------------------------------------------------------------------------- compression


def page(address, compression):
    return connect("ws://127.0.0.1/", sock=socket.create_connection(address), compression=compression)


def test_clients_with_compression_and_without_get_the_same_answers_and_pushes(serve):
    address = serve("ws://127.0.0.1:0/", "compression = true")
    value = "news " * 500
    pushed = {"cmd": 2001, "name": "news", "body": value}
    with page(address, None) as plain, page(address, "deflate") as packing:
        assert [each.name for each in packing.protocol.extensions] == ["permessage-deflate"]
        assert plain.protocol.extensions == []
        for each in (plain, packing):
            each.send(json.dumps({"id": 1, "cmd": "tell_all", "body": value}))
            both = [json.loads(each.recv()) for _ in range(2)]
            assert pushed in both
            assert {"id": 1, "cmd": "tell_all", "body": value} in both
        assert json.loads(plain.recv()) == pushed


def test_a_push_is_compressed_once_for_all_who_agreed(serve, monkeypatch):
    packed = []

    def counted(payload, bits):
        packed.append(bits)
        return deflate(payload, bits)

    address = serve("ws://127.0.0.1:0/", "compression = true")
    with contextlib.ExitStack() as stack:
        pages = [stack.enter_context(page(address, "deflate")) for _ in range(5)]
        for each in pages:
            each.send('{"id": 1, "cmd": "tell_all", "body": "short"}')
            assert "short" in each.recv()
            assert "short" in each.recv()
        monkeypatch.setattr("firefly_gate.deflate_layer.deflate", counted)
        pages[0].send(json.dumps({"id": 2, "cmd": "tell_all", "body": "long " * 100}))
        for each in pages:
            while "long" not in each.recv():
                pass
        assert packed == [12, 12]  # the push and the answer


def test_a_listener_without_websocket_has_no_compression():
    text = TOML.format(url="tcp://127.0.0.1:0", keys="compression = true", limits="", protocol="json")
    with pytest.raises(ConfigurationError, match="has no compression"), InProcessCluster(text, handlers={"gate": []}):
        pass


def test_what_a_format_has_to_say_of_bad_bytes_is_said_before_the_end(serve):
    """A Pomelo client whose handshake is not JSON is told so (code 500), and then the connection ends."""
    address = serve("tcp://127.0.0.1:0", protocol="pomelo")
    with contextlib.closing(socket.create_connection(address, timeout=5)) as client:
        client.sendall(b"\x01\x00\x00\x03{]}")
        answer = client.makefile("rb").read()
    assert answer[:1] == b"\x01"
    assert json.loads(answer[4:]) == {"code": 500}
