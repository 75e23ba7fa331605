"""TLS over streams and channels: it works, it is bounded in time, and it refuses what it should."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import gevent
import pytest

from firefly_core.channel.limits import StreamLimits
from firefly_core.channel.stream import Stream
from firefly_core.channel.tls import TlsTransport
from firefly_core.channel.tls_network import TlsNetwork, client_context, server_context


class Papers:
    """An authority and the certificates it has given, made by the `openssl` command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = self.path("authority.pem")
        self.authority_key = self.path("authority.key")
        self._run("req", "-x509", *self._new_key("authority"), "-subj", "/CN=tests", "-days", "30", out="authority.pem")

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def _new_key(self, name: str) -> list[str]:
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path(f"{name}.key")]

    def _run(self, *command: str, out: str) -> None:
        subprocess.run(["openssl", *command, "-out", self.path(out)], check=True, capture_output=True)

    def give(self, name: str, subject: str, *, days: int = 30) -> tuple[str, str]:
        """Give certificate and key for `subject`, as in `DNS:localhost`."""
        extension = self.folder / f"{name}.ext"
        extension.write_text(f"subjectAltName = {subject}\n")
        self._run("req", *self._new_key(name), "-subj", f"/CN={name}", out=f"{name}.csr")
        dates = ["-not_after", "20200101000000Z", "-not_before", "20190101000000Z"] if days < 0 else []
        if dates:
            self._run_ca(name, extension, dates)
        else:
            signing = ["-CA", self.authority, "-CAkey", self.authority_key, "-CAcreateserial", "-days", str(days)]
            self._run(
                "x509", "-req", "-in", self.path(f"{name}.csr"), *signing, "-extfile", str(extension), out=f"{name}.pem"
            )
        return self.path(f"{name}.pem"), self.path(f"{name}.key")

    def _run_ca(self, name: str, extension: Path, dates: list[str]) -> None:
        """Sign with dates of one's own, which only `openssl ca` can."""
        (self.folder / "index.txt").write_text("")
        (self.folder / "serial").write_text("10\n")
        config = self.folder / "ca.cnf"
        config.write_text(
            f"[ca]\ndefault_ca = c\n[c]\ndatabase = {self.path('index.txt')}\nserial = {self.path('serial')}\n"
            f"new_certs_dir = {self.folder}\ndefault_md = sha256\npolicy = p\n[p]\ncommonName = supplied\n"
        )
        begin, end = dates[3], dates[1]
        self._run(
            *["ca", "-batch", "-config", str(config), "-cert", self.authority, "-keyfile", self.authority_key],
            *["-in", self.path(f"{name}.csr"), "-extfile", str(extension), "-startdate", begin, "-enddate", end],
            out=f"{name}.pem",
        )


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    papers = Papers(tmp_path_factory.mktemp("papers"))
    papers.server = papers.give("server", "IP:127.0.0.1,DNS:localhost")
    papers.client = papers.give("client", "DNS:client")
    return papers


class Receiver:
    """Takes what a stream brings."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.reason: str | None = None
        self.stream: Stream
        self.echo = False

    def on_data(self, data: bytes) -> None:
        self.data += data
        if self.echo:
            self.stream.write(data)

    def on_blocked(self, _runner: Any) -> None:
        pytest.fail("nothing here blocks")

    def on_close(self, reason: str) -> None:
        self.reason = reason


class Server:
    """Streams over TLS on a port."""

    def __init__(self, house: Any, context: ssl.SSLContext, limits: StreamLimits, timeout: float) -> None:
        self.receivers: list[Receiver] = []
        self.sockets: list[socket.socket] = []
        self.house = house
        self.context = context
        self.limits = limits
        self.timeout = timeout
        self.listener = house.network.listen("127.0.0.1", 0, self._on_accept)
        house._listeners.append(self.listener)
        self.port = int(self.listener.address.rpartition(":")[2])

    def _on_accept(self, transport: Any) -> None:
        tls = TlsTransport(transport, self.context, self.house.deadlines, timeout=self.timeout)
        receiver = Receiver()
        receiver.echo = True
        receiver.stream = Stream(tls, self.house.runners, self.house.deadlines, receiver, self.limits)
        self.receivers.append(receiver)
        receiver.stream.start()


@pytest.fixture
def serve(house: Any, papers: Papers) -> Any:
    servers: list[Server] = []

    def make(context: ssl.SSLContext | None = None, *, timeout: float = 5.0, **limits: Any) -> Server:
        limits.setdefault("max_queue", 16 << 20)
        servers.append(Server(house, context or server_context(*papers.server), StreamLimits(**limits), timeout))
        return servers[-1]

    yield make
    for server in servers:
        for client in server.sockets:
            client.close()


def connect(server: Server) -> socket.socket:
    server.sockets.append(socket.create_connection(("127.0.0.1", server.port), timeout=5))
    return server.sockets[-1]


def secure(server: Server, papers: Papers, **options: Any) -> ssl.SSLSocket:
    """Connect with the standard library's own client."""
    context = ssl.create_default_context(cafile=papers.authority)
    if options.get("certificate"):
        context.load_cert_chain(*options["certificate"])
    for name in ("minimum_version", "maximum_version"):
        if name in options:
            setattr(context, name, options[name])
    if "ciphers" in options:
        context.set_ciphers(options["ciphers"])
    raw = connect(server)
    server.sockets.append(context.wrap_socket(raw, server_hostname=options.get("name", "localhost")))
    return server.sockets[-1]


def receive(client: Any, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = client.recv(65536)
        if not piece:
            break
        data += piece
    return bytes(data)


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_foreign_client_is_served(serve: Any, papers: Papers, version: ssl.TLSVersion) -> None:
    with secure(serve(), papers, minimum_version=version, maximum_version=version) as client:
        client.sendall(b"hello")
        assert receive(client, 5) == b"hello"
        assert client.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_much_goes_through_both_ways_at_once(serve: Any, papers: Papers, version: ssl.TLSVersion) -> None:
    data = os.urandom(3 << 20)
    with secure(serve(), papers, minimum_version=version, maximum_version=version) as client:
        sender = gevent.spawn(client.sendall, data)
        assert receive(client, len(data)) == data
        sender.join(5)


def test_a_handshake_that_comes_byte_by_byte_is_taken(house: Any, serve: Any, papers: Papers) -> None:
    server = serve()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=papers.authority)
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    raw = connect(server)

    def pump(step: Any) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    raw.sendall(bytes((byte,)))
                incoming.write(raw.recv(65536))

    pump(tls.do_handshake)
    tls.write(b"drop by drop")
    assert pump(lambda: tls.read(100)) == b"drop by drop"
    raw.close()


def test_what_follows_the_handshake_in_the_same_segment_is_read(serve: Any, papers: Papers) -> None:
    """The client's first data stands right behind its last handshake message."""
    server = serve()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context(cafile=papers.authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
    raw = connect(server)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            raw.sendall(outgoing.read())
            incoming.write(raw.recv(65536))
    tls.write(b"first ")
    tls.write(b"x" * 20_000)
    raw.sendall(outgoing.read())
    got = b""
    while len(got) < 20_006:
        try:
            got += tls.read(65536)
        except ssl.SSLWantReadError:
            incoming.write(raw.recv(65536))
    assert got == b"first " + b"x" * 20_000
    raw.close()


def test_a_goodbye_is_the_end_of_the_stream(serve: Any, papers: Papers, until: Any) -> None:
    server = serve()
    client = secure(server, papers)
    client.sendall(b"last words")
    assert receive(client, 10) == b"last words"
    client.unwrap().close()
    until(lambda: server.receivers[0].reason)
    assert server.receivers[0].reason == "end_of_stream"


def test_the_last_words_of_the_server_arrive_with_a_goodbye(serve: Any, papers: Papers) -> None:
    server = serve()
    client = secure(server, papers)
    client.sendall(b"x")
    receive(client, 1)
    stream = server.receivers[0].stream
    stream.write(b"y" * 500_000)
    stream.close_after_flush("kicked")
    assert receive(client, 500_001) == b"y" * 500_000
    client.close()


def test_a_reader_that_stops_holds_bounded_memory_and_is_closed(serve: Any, papers: Papers, until: Any) -> None:
    server = serve(max_queue=100_000, send_timeout=0.3)
    client = secure(server, papers)
    client.sendall(b"x")
    receive(client, 1)
    stream = server.receivers[0].stream
    written = 0
    while stream.write(b"z" * 50_000):
        written += 50_000
        assert written < 64 << 20
    assert server.receivers[0].reason == "slow_consumer"
    client.close()


def test_a_client_that_reads_later_gets_everything(serve: Any, papers: Papers) -> None:
    server = serve()
    client = secure(server, papers)
    client.sendall(b"x")
    receive(client, 1)
    server.receivers[0].stream.write(b"z" * (8 << 20))
    gevent.sleep(0.05)
    assert server.receivers[0].stream.queued > 0
    assert receive(client, 8 << 20) == b"z" * (8 << 20)
    client.close()


def test_a_paused_stream_reads_nothing_and_goes_on_later(serve: Any, papers: Papers, until: Any) -> None:
    server = serve()
    client = secure(server, papers)
    client.sendall(b"x" * 30_000)
    receive(client, 30_000)
    receiver = server.receivers[0]
    receiver.stream.pause_reading()
    client.sendall(b"y" * 30_000)
    gevent.sleep(0.05)
    assert len(receiver.data) == 30_000
    receiver.stream.resume_reading()
    until(lambda: len(receiver.data) == 60_000)
    client.close()


# ----------------------------------------------------------------------------------------------------- refused, in time


@pytest.mark.parametrize(
    "data", [b"", b"\x16", bytes.fromhex("1603010200010001fc0303")], ids=["none", "1 byte", "part"]
)
def test_78_a_handshake_that_does_not_end_is_ended(serve: Any, data: bytes, until: Any) -> None:
    server = serve(timeout=0.3)
    begin = time.monotonic()
    raw = connect(server)
    raw.sendall(data)
    assert raw.recv(100) == b""
    assert 0.25 < time.monotonic() - begin < 4
    assert server.receivers[0].reason == "tls_timeout"


def test_100_silent_clients_hold_no_greenlet(house: Any, serve: Any, papers: Papers) -> None:
    server = serve(timeout=0.5)
    runners = house.runners.started
    clients = [connect(server) for _ in range(100)]
    with secure(server, papers) as client:
        client.sendall(b"served all the same")
        assert receive(client, 19) == b"served all the same"
    assert house.runners.started - runners < 5
    assert all(client.recv(1) == b"" for client in clients)


@pytest.mark.parametrize(
    "data",
    [b"\x94\x00\x01\xa1m\x90" * 10, b"GET / HTTP/1.1\r\n\r\n", b"\0" * 5000, os.urandom(5000), b"\xff" * 5000],
    ids=["22 plain frames", "HTTP", "zeros", "random", "ones"],
)
def test_22_what_is_no_handshake_ends_in_its_time(serve: Any, data: bytes, papers: Papers) -> None:
    server = serve(timeout=0.5)  # the first bytes of a MessagePack-RPC request begin an SSL 2.0 hello
    begin = time.monotonic()
    raw = connect(server)
    raw.sendall(data)
    try:
        while raw.recv(1000):
            pass
    except ConnectionResetError:
        pass
    assert time.monotonic() - begin < 4
    with secure(server, papers) as client:
        client.sendall(b"next")
        assert receive(client, 4) == b"next"


def test_garbage_after_the_handshake_ends_the_connection(serve: Any, papers: Papers, until: Any) -> None:
    server = serve()
    client = secure(server, papers)
    client.sendall(b"x")
    receive(client, 1)
    raw = socket.socket(fileno=client.detach())
    raw.sendall(b"\x17\x03\x03\x00\x20" + b"g" * 32)
    until(lambda: server.receivers[0].reason)
    assert server.receivers[0].data == b"x"
    raw.close()


def test_78_old_versions_are_refused(serve: Any, papers: Papers) -> None:
    server = serve()
    with pytest.warns(DeprecationWarning, match="TLSv1"), pytest.raises((ssl.SSLError, ConnectionError)):
        secure(
            server,
            papers,
            minimum_version=ssl.TLSVersion.TLSv1,
            maximum_version=ssl.TLSVersion.TLSv1_1,
            ciphers="DEFAULT@SECLEVEL=0",
        )


def test_78_renegotiation_is_refused(serve: Any, papers: Papers) -> None:
    server = serve()
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2", "-CAfile", papers.authority]
    client = subprocess.run(command, input=b"R\n", capture_output=True, timeout=5, check=False)
    output = client.stdout + client.stderr
    assert b"RENEGOTIATING" in output
    assert b"no renegotiation" in output


def test_78_a_client_without_a_certificate_of_the_authority_is_refused(serve: Any, papers: Papers, until: Any) -> None:
    server = serve(server_context(*papers.server, clients=papers.authority))
    with secure(server, papers, certificate=papers.client) as client:
        client.sendall(b"known")
        assert receive(client, 5) == b"known"
    expired = papers.give("expired", "DNS:client", days=-1)
    (papers.folder / "others").mkdir()
    stranger = Papers(papers.folder / "others").give("client", "DNS:client")

    def refused(certificate: Any) -> None:
        # In TLS 1.3 the client learns with its first read that it was refused.
        secure(server, papers, certificate=certificate).recv(1)

    for number, certificate in enumerate([None, expired, stranger]):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            refused(certificate)
        until(lambda number=number: server.receivers[number + 1].reason)
        assert server.receivers[number + 1].data == b""


# ------------------------------------------------------------------------------------------------------------- channels


@pytest.fixture
def encrypt(house: Any, papers: Papers) -> Any:
    """Make the house's network encrypt."""

    def encrypt(server: ssl.SSLContext | None = None, client: ssl.SSLContext | None = None) -> None:
        house.network = TlsNetwork(
            house.network,
            house.deadlines,
            server=server or server_context(*papers.server),
            client=client or client_context(papers.authority),
        )

    return encrypt


def test_a_channel_works_over_tls(house: Any, encrypt: Any) -> None:
    encrypt()
    echo = {"echo": lambda _channel, *params: list(params)}
    client, server = house.pair(echo, echo)
    body = os.urandom(1_000_000)
    assert client.call("echo", body) == [body]
    assert server.call("echo", 1) == [1]
    calls = [gevent.spawn(client.call, "echo", number, b"x" * 5000) for number in range(200)]
    gevent.joinall(calls, timeout=20)
    assert [call.value[0] for call in calls] == list(range(200))
    client.close_after_flush()


def test_a_channel_with_certificates_on_both_sides(house: Any, encrypt: Any, papers: Papers) -> None:
    certificate, key = papers.client
    encrypt(
        server_context(*papers.server, clients=papers.authority),
        client_context(papers.authority, certificate=certificate, key=key),
    )
    client, _ = house.pair({"echo": lambda _channel: "here"})
    assert client.call("echo") == "here"


def test_78_a_root_with_another_name_is_not_trusted(house: Any, encrypt: Any, papers: Papers, until: Any) -> None:
    encrypt(server_context(*papers.give("elsewhere", "DNS:elsewhere.example")))
    client = house.dial(house.serve())
    until(lambda: client.closed)
    assert client.peer is None
    until(lambda: house.accepted and house.accepted[0].closed)


def test_78_a_root_of_another_authority_is_not_trusted(house: Any, encrypt: Any, papers: Papers, until: Any) -> None:
    (papers.folder / "impostor").mkdir()
    encrypt(server_context(*Papers(papers.folder / "impostor").give("server", "IP:127.0.0.1")))
    client = house.dial(house.serve())
    until(lambda: client.closed)
    assert client.peer is None


def test_a_root_without_tls_is_left(house: Any, encrypt: Any, papers: Papers, until: Any) -> None:
    address = house.serve()
    encrypt()
    client = house.dial(address)
    until(lambda: client.closed)
    assert client.peer is None


def test_contexts_need_readable_papers(papers: Papers) -> None:
    with pytest.raises(OSError, match="No such file"):
        server_context("/nowhere.pem", "/nowhere.key")
    with pytest.raises(ssl.SSLError):
        server_context(papers.server[0], papers.client[1])
    with pytest.raises(OSError, match="No such file"):
        client_context("/nowhere.pem")


def test_a_network_without_a_context_says_so(house: Any) -> None:
    network = TlsNetwork(house.network, house.deadlines)
    with pytest.raises(ValueError, match="context"):
        network.dial("127.0.0.1", 1, timeout=1)
    with pytest.raises(ValueError, match="context"):
        network.listen("127.0.0.1", 0, lambda _transport: None)
