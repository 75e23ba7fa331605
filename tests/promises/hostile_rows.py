"""Rows A2, A3, A4, A9 and A11: a gate in a process of its own, and clients that hold on to it, over real sockets."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

import gevent

from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import RunningGame, running_game, wait_until

__all__ = ["ROWS"]

TOML = """
[firefly]
plugins = ["gate", "protocols"]
drain_timeout = 0.5
[servers.gate]
handlers = ["hall"]
[servers.gate.gate]
listen = [
  { url = "tcp://127.0.0.1:{json}", protocol = "json" },
  { url = "tcp://127.0.0.1:{datapack}", protocol = "datapack", codec = "json" },
  { url = "ws://127.0.0.1:{ws}/", protocol = "json", origins = ["none"] },
  SECURE
]
rate = "off"
max_sessions = 20_000
KEYS
"""
HALL = """
import gevent
from firefly_core import command

@command(1, public=True)
def login(ctx, uid: int) -> int:
    ctx.session.bind(uid)
    return uid

@command(2)
def echo(ctx, value: int) -> int:
    return value

@command(3)
def rest(ctx) -> None:
    gevent.sleep(300)
"""
KIB = 1024
WARM = 40
SMALLEST = 64


def gate(keys: str = "", secure: str = "") -> contextlib.AbstractContextManager[RunningGame]:
    """Run a gate alone."""
    return running_game(TOML.replace("KEYS", keys).replace("SECURE", secure), {"hall": HALL}, only="gate")


# --------------------------------------------------------------------------------------------------- the clients


def connect(game: RunningGame, listener: str) -> socket.socket:
    """Connect to a listener of the gate."""
    return socket.create_connection(("127.0.0.1", game.ports[listener]), timeout=10)


def hear(sock: socket.socket, what: bytes) -> bytes:
    """Read until `what` has come."""
    data = b""
    while what not in data:
        piece = sock.recv(65536)
        assert piece, f"closed after {data!r}"
        data += piece
    return data


def ask(sock: socket.socket, text: str) -> dict[str, object]:
    """Send one json line and give the answer."""
    sock.sendall(text.encode() + b"\n")
    return dict(json.loads(hear(sock, b"\n")))


def datapack(command: int, body: bytes) -> bytes:
    """Give a datapack frame."""
    return struct.pack("!5B3I", 0, 0, 0, 0, 0, 0, len(body) + 4, command) + body


def upgrade(*more: str) -> bytes:
    """Give the request that opens a WebSocket."""
    lines = ["GET / HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    key = base64.b64encode(os.urandom(16)).decode()
    return "\r\n".join([*lines, f"Sec-WebSocket-Key: {key}", *more, "", ""]).encode()


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """Give a client's frame, masked with nothing."""
    size = len(payload)
    if size < 126:
        return bytes((first, 0x80 | size)) + bytes(4) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 0xFE, size) + bytes(4) + payload
    return struct.pack("!BBQ", first, 0xFF, size) + bytes(4) + payload


def json_player(game: RunningGame, uid: int) -> socket.socket:
    """Give a player over TCP."""
    sock = connect(game, "json")
    ask(sock, f'{{"id":1,"cmd":"login","body":{uid}}}')
    return sock


def datapack_player(game: RunningGame, uid: int) -> socket.socket:
    """Give a player over datapack."""
    sock = connect(game, "datapack")
    sock.sendall(datapack(1, str(uid).encode()))
    hear(sock, str(uid).encode())
    return sock


def ws_client(game: RunningGame, *more: str) -> tuple[socket.socket, bytes]:
    """Give a client with an open WebSocket, and what the gate answered."""
    sock = connect(game, "ws")
    sock.sendall(upgrade(*more))
    return sock, hear(sock, b"\r\n\r\n")


def ws_player(game: RunningGame, uid: int) -> socket.socket:
    """Give a player over WebSocket."""
    sock, _ = ws_client(game)
    sock.sendall(frame(f'{{"id":1,"cmd":"login","body":{uid}}}'.encode()))
    hear(sock, b'"body":')
    return sock


# ---------------------------------------------------------------------------------- A2: announce much, and stop


def almost(data: bytes) -> bytes:
    """Leave the last byte out."""
    return data[:-1]


def hostile_json(game: RunningGame, uid: int) -> socket.socket:
    sock = json_player(game, uid)
    sock.sendall(b'{"id":2,"cmd":"echo","body":"' + b"x" * (64 * KIB - 40))
    return sock


def hostile_datapack(game: RunningGame, uid: int) -> socket.socket:
    sock = datapack_player(game, uid)
    sock.sendall(almost(datapack(2, bytes(64 * KIB - 100))))
    return sock


def hostile_ws(game: RunningGame, uid: int) -> socket.socket:
    sock = ws_player(game, uid)
    sock.sendall(almost(frame(b"x" * (64 * KIB - 100))))
    return sock


def hostile_fragments(game: RunningGame, uid: int) -> socket.socket:
    sock = ws_player(game, uid)
    sock.sendall(frame(b"x" * (32 * KIB), 0x01) + frame(b"x" * (31 * KIB), 0x00))
    return sock


def hostile_handshake(game: RunningGame, _uid: int) -> socket.socket:
    sock = connect(game, "ws")
    sock.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (8 * KIB - 100))
    return sock


def hostile_stranger(game: RunningGame, _uid: int) -> socket.socket:
    sock = connect(game, "datapack")
    sock.sendall(almost(datapack(2, bytes(4 * KIB - 100))))
    return sock


def hostile_pipeline(game: RunningGame, uid: int) -> socket.socket:
    """Send far more commands than may wait, while the first one rests."""
    sock = json_player(game, uid)
    sock.setblocking(False)
    data = b'{"id":2,"cmd":"rest"}\n' + b'{"id":3,"cmd":"echo","body":1}\n' * 8000
    with contextlib.suppress(BlockingIOError):
        while data:
            data = data[sock.send(data) :]
    return sock


HOSTILE: list[Callable[[RunningGame, int], socket.socket]] = [
    hostile_json,
    hostile_datapack,
    hostile_ws,
    hostile_fragments,
    hostile_handshake,
    hostile_stranger,
    hostile_pipeline,
]


def a2_announce(count: int) -> Outcome:
    """`count` clients announce as much as is allowed, send all of it but the end, and stop."""
    with gate("frame_timeout = 600.0\nlogin_timeout = 600.0\ntimeout = 600.0") as game:
        socks = [HOSTILE[number % len(HOSTILE)](game, number) for number in range(WARM)]
        for sock in socks:
            sock.close()
        good = json_player(game, 1_000_000)
        settle(game)
        before = game.resident()
        socks = [HOSTILE[number % len(HOSTILE)](game, WARM + number) for number in range(count)]
        settle(game)
        grown = game.resident() - before
        alive = ask(good, '{"id":5,"cmd":"echo","body":7}')["body"] == 7
        for sock in socks:
            sock.close()
    figure = (
        f"{grown / KIB / count:.1f} KiB for each of {count:,} clients of {len(HOSTILE)} kinds, {grown / KIB:,.0f} KiB"
    )
    return Outcome(count, figure, grown <= count * 96 * KIB + 512 * KIB and alive)


def settle(game: RunningGame) -> None:
    """Wait until the gate holds the same memory twice in a row."""
    last = -1
    for _ in range(40):
        gevent.sleep(0.1)
        now = game.resident()
        if now == last:
            return
        last = now


# ------------------------------------------------------------------------------------------- A3: idle connections


def a3_idle(count: int) -> Outcome:
    """`count` idle clients, over TCP and over WebSocket: what each costs."""
    told = []
    kept = True
    for name, most, join in (("TCP", 4, json_player), ("WebSocket", 16, ws_player)):
        with gate("heartbeat = 600.0") as game:
            socks = [join(game, uid) for uid in range(WARM)]
            settle(game)
            before = game.resident()
            socks += [join(game, WARM + uid) for uid in range(count)]
            settle(game)
            each = (game.resident() - before) / KIB / count
            told.append(f"{name} {each:.2f} KiB")
            # A target of 1.5 and 8 KiB; five times as much would be a broken promise.
            kept = kept and each <= most * 5 and ask_any(name, socks[-1])
            for sock in socks:
                sock.close()
    return Outcome(2 * count, f"{', '.join(told)} for each of {count:,} logged-in players", kept)


def ask_any(name: str, sock: socket.socket) -> bool:
    """Whether a client is served."""
    line = '{"id":9,"cmd":"echo","body":41}'
    if name == "TCP":
        return ask(sock, line)["body"] == 41
    sock.sendall(frame(line.encode()))
    return b"41" in hear(sock, b'"body":')


# ----------------------------------------------------------------------------------------------- A4: drip by drip


def tls_hello() -> bytes:
    """Give the first bytes of a TLS client."""
    import ssl

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
    """`count` clients send a byte a second, or begin TLS and are silent; another one is served meanwhile."""
    with papers() as secure, gate(secure=secure) as game:
        good = json_player(game, 1)
        quiet = pings(good, 1.0)
        kinds = [list(DRIPS)[number % len(DRIPS)] for number in range(count)]
        drops: list[tuple[str, float]] = []
        drippers = [gevent.spawn(drip, game, kind, drops) for kind in kinds]
        busy = pings(good, 7.0)
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
    return Outcome(count, figure, len(drops) == count and p99 <= 10.0 and busy <= max(5 * quiet, 0.25))


def drip(game: RunningGame, kind: str, drops: list[tuple[str, float]]) -> None:
    """Send byte by byte until the gate has had enough."""
    listener, data = DRIPS[kind]
    with connect(game, listener) as sock:
        begin = time.monotonic()
        sent = data()
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
    import tempfile

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


# ---------------------------------------------------------------------------------------- A9: out of descriptors


def a9_descriptors(count: int) -> Outcome:
    """`count` clients connect to a gate that may have 64 files open; then they leave."""
    with gate() as game:
        inside = json_player(game, 1)
        game.limit_descriptors(SMALLEST)
        lines = len(game.lines())
        begin = time.monotonic()
        socks = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                socks.append(connect(game, "json"))
        gevent.sleep(2.0)
        played = ask(inside, '{"id":5,"cmd":"echo","body":7}')["body"] == 7
        seconds = time.monotonic() - begin
        spoken = (len(game.lines()) - lines) / seconds
        held = game.descriptors()
        away = sum(ended(sock) for sock in socks)
        for sock in socks:
            sock.close()
        left = time.monotonic()
        wait_until(lambda: served(game), "a new client is served", timeout=20)
        after = time.monotonic() - left
        alive = game.process.poll() is None
    figure = (
        f"{len(socks)} knocked at a gate with {SMALLEST} descriptors, {away} were turned away: it lives, "
        f"{spoken:.1f} log lines a second, the next client served after {after:.2f} s"
    )
    full = held >= SMALLEST - 2 and away >= count - SMALLEST
    return Outcome(count, figure, alive and played and full and spoken <= 10 and after <= 10)


def ended(sock: socket.socket) -> bool:
    """Whether the other side has closed."""
    sock.setblocking(False)
    try:
        return not sock.recv(4096)
    except BlockingIOError:
        return False
    except OSError:
        return True


def served(game: RunningGame) -> bool:
    """Whether a new client is served."""
    try:
        with json_player(game, 2):
            return True
    except (OSError, AssertionError, ValueError):
        return False


# ------------------------------------------------------------------------------------------ A11: compressed bombs


def bomb() -> bytes:
    """Give 256 MiB of nothing, deflated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(1 << 20)
    data = b"".join(packer.compress(piece) for _ in range(256))
    return data + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]


def a11_bombs(count: int) -> Outcome:
    """`count` compressed bombs, at limits of 64 KiB and of 1 MiB, from clients that offered compression."""
    data = bomb()
    codes: Counter[int] = Counter()
    waits = []
    grown = 0
    offered = 0
    for limit in (64 * KIB, 1024 * KIB):
        with gate(f"max_frame = {limit}\nlogin_frame = {limit}") as game:
            ws_player(game, 1).close()
            settle(game)
            before = game.resident()
            for _ in range(count // 2):
                sock, answer = ws_client(game, "Sec-WebSocket-Extensions: permessage-deflate")
                offered += b"permessage-deflate" in answer
                begin = time.perf_counter()
                code = explode(sock, frame(data, 0xC1))
                waits.append(time.perf_counter() - begin)
                codes[code] += 1
                sock.close()
            grown = max(grown, game.resident() - before)
    waits.sort()
    figure = (
        f"{sum(codes.values())} bombs of {len(data) / KIB:.0f} KiB refused with {dict(codes)}, {grown / KIB:+.0f} KiB, "
        f"p99 {waits[int(len(waits) * 0.99)] * 1000:.1f} ms; compression was taken up {offered} times"
    )
    kept = set(codes) == {1002} and not offered and grown <= 2048 * KIB and waits[len(waits) // 2] <= 0.05
    return Outcome(sum(codes.values()), figure, kept)


def explode(sock: socket.socket, data: bytes) -> int:
    """Send, and give the code that the gate closes with."""
    with contextlib.suppress(OSError):
        sock.sendall(data)
    said = b""
    with contextlib.suppress(OSError):
        while piece := sock.recv(4096):
            said += piece
    return int.from_bytes(said[2:4], "big") if said[:1] == b"\x88" else 0


ROWS = [
    Row("A2", "the memory of a connection is bounded whatever it sends", a2_announce, 70, 1_000),
    Row("A3", "an idle player is cheap", a3_idle, 200, 9_000),
    Row("A4", "a client that sends no whole frame is dropped", a4_drips, 10, 200),
    Row("A9", "a gate without descriptors lives on", a9_descriptors, 200, 200),
    Row("A11", "compressed bombs are refused", a11_bombs, 4, 200),
]
