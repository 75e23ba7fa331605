"""Row A4: clients that send a byte a second, or nothing, in the middle of something."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator

import gevent

from tests.promises.gate_clients import ask, connect, datapack, gate, json_player, upgrade
from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import RunningGame

__all__ = ["ROWS"]

FULL = 100


def tls_hello() -> bytes:
    """Give the first bytes of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


DRIPS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "json line": ("json", lambda: b'{"id":1,"cmd":"login","body":' + b"1" * 1000),
    "datapack": ("datapack", lambda: datapack(1, b"1" * 1000)),
    "WebSocket handshake": ("ws", upgrade),
    "TLS hello": ("tls", tls_hello),
    "TLS silent": ("tls", lambda: b""),
}


def a4_drips(count: int) -> Outcome:
    """`count` clients send a byte a second, or begin TLS and are silent; another one is served meanwhile.

    They have the promised five seconds; in the short form one.
    """
    limit = 5.0 if count >= FULL else 1.0
    with papers() as secure, gate(f"frame_timeout = {limit}", secure) as game, json_player(game, 1) as good:
        # The other client shares this process with the drippers, whose preparations are not the gate's work.
        words = {kind: data() for kind, (_, data) in DRIPS.items()}
        quiet = pings(good, limit / 2)
        kinds = [list(DRIPS)[number % len(DRIPS)] for number in range(count)]
        drops: list[tuple[str, float]] = []
        drippers = [gevent.spawn(drip, game, kind, words[kind], drops) for kind in kinds]
        busy = pings(good, limit + 1.0)
        gevent.joinall(drippers, timeout=20)
        times = sorted(seconds for _, seconds in drops)
        p99 = times[int(len(times) * 0.99)] if times else float("inf")
    by_kind = Counter(kind for kind, _ in drops)
    figure = (
        f"{len(drops)} of {count} dropped, p99 after {p99:.2f} s, the first after {times[0] if times else 0:.2f} s "
        f"({len(by_kind)} kinds); p99 of another client's pings {quiet * 1000:.2f} ms before, "
        f"{busy * 1000:.2f} ms meanwhile"
    )
    # The other client shares two cores with the drippers: the figure says more than the ceiling.
    return Outcome(count, figure, len(drops) == count and p99 <= limit + 5.0 and busy <= max(5 * quiet, 0.25))


def drip(game: RunningGame, kind: str, sent: bytes, drops: list[tuple[str, float]]) -> None:
    """Send byte by byte until the gate has had enough."""
    with connect(game, DRIPS[kind][0]) as sock:
        begin = time.monotonic()
        sock.settimeout(1.0)
        for place in range(60):
            try:
                if sent[place : place + 1]:
                    sock.sendall(sent[place : place + 1])
                while sock.recv(4096):
                    pass
                break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            return
        drops.append((kind, time.monotonic() - begin))


@contextlib.contextmanager
def papers() -> Iterator[str]:
    """Make a certificate; give the listener that has it."""
    with tempfile.TemporaryDirectory() as folder:
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        command = ["openssl", "req", "-x509", *kind, *subject, "-keyout", "key.pem", "-out", "cert.pem"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        files = f'certificate = "{folder}/cert.pem", private_key = "{folder}/key.pem"'
        yield f'{{ url = "tls://127.0.0.1:{{tls}}", protocol = "json", {files} }},'


def pings(sock: socket.socket, seconds: float) -> float:
    """Ask for so long; give the 99th of a hundred waits."""
    waits = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        begin = time.perf_counter()
        ask(sock, '{"id":5,"cmd":"echo","body":7}')
        waits.append(time.perf_counter() - begin)
        gevent.sleep(0.002)
    return sorted(waits)[int(len(waits) * 0.99)]


ROWS = [Row("A4", "a client that sends no whole frame is dropped", a4_drips, 10, 200)]
