"""The load client in Python, for machines without a C compiler, and for TLS: the same modes and options as load.c.

It is slower than what it measures: its figures say what Firefly can at least do, and reports name it.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MASK = bytes((0x37, 0xFA, 0x21, 0x3D))
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Options(dict[str, str]):
    """The `key=value` arguments."""

    def number(self, name: str, default: float) -> float:
        """Give a number."""
        return float(self.get(name, default))

    def hex(self, name: str) -> bytes:
        """Give bytes that were written as hex digits."""
        return bytes.fromhex(self.get(name, ""))


def frame_size(framing: str, data: bytes, at: int) -> tuple[int, bool]:
    """Give the size of the frame at `at` (0: not complete), and whether it is a message."""
    rest = len(data) - at
    counts = True
    if framing == "datapack":
        size = 13 + int.from_bytes(data[at + 9 : at + 13], "big") if rest >= 17 else rest + 1
    elif framing == "pinus":
        size = 4 + int.from_bytes(data[at + 1 : at + 4], "big") if rest >= 4 else rest + 1
        counts = data[at : at + 1] != b"\x03"
    else:
        if rest < 4 and not (rest >= 2 and data[at + 1] & 127 < 126):
            return 0, True
        size = 2 + (data[at + 1] & 127)
        if data[at + 1] & 127 == 126:
            size = 4 + int.from_bytes(data[at + 2 : at + 4], "big")
        counts = data[at] & 15 < 8
    return (size if size <= rest else 0), counts


class Wire:
    """How messages are written; `request` gives the next one."""

    def __init__(self, options: Options) -> None:
        self.framing = options.get("framing", "datapack")
        self._text = options.get("text") == "1"
        self._request = options.hex("request")
        self._at = int(options.get("id_at", -1))
        self._last = 1_000_000

    def wrap(self, message: bytes) -> bytes:
        """Give a message as it goes over the wire."""
        if self.framing != "websocket":
            return message
        first = bytes((0x80 | (1 if self._text else 2),))
        size = len(message)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        mask = (MASK * (size // 4 + 1))[:size]
        masked = int.from_bytes(message, "big") ^ int.from_bytes(mask, "big")
        return first + length + MASK + masked.to_bytes(size, "big")

    def request(self) -> bytes:
        """Give a request."""
        if self._at < 0:
            return self.wrap(self._request)
        self._last = self._last + 1 if self._last < 9_999_999 else 1_000_001
        end = self._at + 7
        return self.wrap(self._request[: self._at] + b"%d" % self._last + self._request[end:])


class Link:
    """One connection."""

    def __init__(self, client: Client, number: int) -> None:
        options = client.options
        self._wire = client.wire
        sources = int(options.number("sources", 1))
        source = (f"127.0.0.{1 + number % sources}", 0) if sources > 1 else None
        where = (options.get("host", "127.0.0.1"), int(options["port"]))
        self.sock: socket.socket = socket.create_connection(where, timeout=10, source_address=source)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if client.tls is not None:
            self.sock = client.tls.wrap_socket(self.sock)
        self._tail = b""
        self._unsent = b""
        self.sent: deque[float] = deque()
        self.served = 0
        if self._wire.framing == "websocket":
            path = client.paths[number % len(client.paths)] if client.paths else options.get("path", "/")
            self.sock.sendall(UPGRADE.format(path=path, host=where[0], port=where[1]).encode())
            while b"\r\n\r\n" not in self._tail:
                self._tail += self.sock.recv(4096)
            if not self._tail.startswith(b"HTTP/1.1 101"):
                raise SystemExit(f"no upgrade: {self._tail[:60]!r}")
            self._tail = self._tail.split(b"\r\n\r\n", 1)[1]

    def open(self, options: Options) -> None:
        """Go through the opening of the protocol, and the login."""
        for word, answers in (("hello", int(options.number("greetings", 0))), ("ready", 0), ("join", 1)):
            said = options.hex(word)
            if said:
                self.sock.sendall(self._wire.wrap(said))
            if said or word == "hello":
                self._await(answers)
        self.sock.setblocking(False)

    def _await(self, answers: int) -> None:
        taken = self.frames(b"")
        while sum(1 for _ in taken) < answers:
            data = self.sock.recv(65536)
            if not data:
                raise SystemExit("the server closed a connection while it was opened")
            taken = self.frames(data)

    def frames(self, data: bytes) -> list[bytes]:
        """Give the messages that are complete."""
        data = self._tail + data
        at, found = 0, []
        while True:
            size, counts = frame_size(self._wire.framing, data, at)
            if not size:
                break
            if counts:
                found.append(data[at : at + size])
            at += size
        self._tail = data[at:]
        return found

    def read(self) -> list[bytes]:
        """Give the messages that have arrived."""
        try:
            data = self.sock.recv(262_144)
        except (BlockingIOError, ssl.SSLWantReadError):
            return []
        if not data:
            raise SystemExit("the server closed a connection")
        return self.frames(data)

    def ask(self, count: int, now: float) -> None:
        """Send requests."""
        self.sent.extend([now] * count)
        self.send(b"".join(self._wire.request() for _ in range(count)))

    def send(self, data: bytes) -> None:
        """Send, or keep what is not taken for the next time."""
        data = self._unsent + data
        try:
            taken = self.sock.send(data) if data else 0
        except BlockingIOError:
            taken = 0
        self._unsent = data[taken:]


class Client:
    """One run."""

    def __init__(self, mode: str, options: Options) -> None:
        self.mode = mode
        self.options = options
        self.wire = Wire(options)
        self.paths = Path(options["paths"]).read_text().split() if "paths" in options else []
        self.tls: ssl.SSLContext | None = None
        if options.get("tls") == "1":
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.tls.check_hostname = False
            self.tls.verify_mode = ssl.CERT_NONE
        self.connections = int(options.number("connections", 1))
        self.in_flight = int(options.number("in_flight", 1))
        self.flood = int(options.number("flood", 0))
        self.watched = [int(pid) for pid in options.get("watch", "").split(",") if pid]
        self.links: dict[int, Link] = {}
        self.poll = select.epoll()
        self.latency: list[float] = []
        self.answers = self.flood_answers = self.odd = 0
        self.first = b""
        self.measuring = False

    def add(self, number: int) -> Link:
        """Open one connection and watch it."""
        link = Link(self, number)
        link.open(self.options)
        self.links[link.sock.fileno()] = link
        self.poll.register(link.sock.fileno(), select.EPOLLIN)
        return link

    def turns(self) -> Iterator[tuple[float, list[Link]]]:
        """Give the time and who can be read, until the run is over; begins to measure after the warm-up."""
        begin = last = time.monotonic() + self.options.number("warmup", 0.2)
        seconds = self.options.number("seconds", 1.0)
        while True:
            now = time.monotonic()
            if not self.measuring and now >= begin:
                self.measuring, self._began = True, now
                self._cpu = [self._cpu_of(pid) for pid in self.watched]
            if self.measuring and now >= self._began + seconds:
                self.took = now - self._began
                self.cpu = [self._cpu_of(pid) - before for pid, before in zip(self.watched, self._cpu, strict=True)]
                return
            ready = [self.links[fd] for fd, _ in self.poll.poll(0.1) if fd in self.links]
            if ready:
                last = now
            elif now > last + 10:
                raise SystemExit("no answer for ten seconds")
            yield time.monotonic(), ready

    @staticmethod
    def _cpu_of(pid: int) -> float:
        return sum(int(p.read_text().split()[0]) for p in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9

    def look_at(self, messages: list[bytes]) -> None:
        """Keep the first answer; the others must be as long."""
        self.first = self.first or messages[0]
        self.odd += sum(len(message) != len(self.first) for message in messages)

    def run_echo(self) -> None:
        """Keep so many requests in flight on each connection."""
        links = [self.add(number) for number in range(self.connections)]
        flooding = self.add(self.connections) if self.flood else None
        for link in links:
            link.ask(self.in_flight, time.monotonic())
        if flooding is not None:
            flooding.ask(self.flood, time.monotonic())
        for now, ready in self.turns():
            for link in ready:
                link.send(b"")
                messages = link.read()
                if not messages:
                    continue
                self.look_at(messages)
                took = [now - link.sent.popleft() for _ in messages]
                if self.measuring and link is not flooding:
                    self.latency += took
                    self.answers += len(messages)
                    link.served += len(messages)
                elif self.measuring:
                    self.flood_answers += len(messages)
                link.ask(len(messages), now)

    def run_receive(self) -> None:
        """Let connection 0 send, wait for all frames over all connections, and again."""
        links = [self.add(number) for number in range(self.connections)]
        expect = int(self.options.number("expect", self.connections + 1))
        arrived, began = 0, time.monotonic()
        links[0].ask(1, began)
        for now, ready in self.turns():
            for link in ready:
                messages = len(link.read())
                arrived += messages
                if self.measuring:
                    link.served += messages
                    self.answers += messages
            if arrived >= expect:
                if self.measuring:
                    self.latency.append(now - began)
                arrived, began = 0, now
                links[0].ask(1, now)

    def run_connect(self) -> None:
        """Connect, ask (WebSocket: be upgraded), close; one after the other: side by side Python is no faster."""
        number = 0
        for _ in self.turns():
            began = time.monotonic()
            link = Link(self, number)
            if self.wire.framing != "websocket":
                link.sock.sendall(self.wire.request())
                while not link.frames(link.sock.recv(4096)):
                    continue
            link.sock.close()
            number += 1
            if self.measuring:
                self.answers += 1
                self.latency.append(time.monotonic() - began)

    def run_idle(self) -> None:
        """Hold connections until standard input ends."""
        for number in range(self.connections):
            self.add(number)
        print(json.dumps({"open": self.connections}), flush=True)
        sys.stdin.read()

    def report(self) -> dict[str, Any]:
        """Give the figures, as load.c does."""
        served = [link.served for link in list(self.links.values())[: self.connections]] or [0]
        return {
            "client": "python",
            "mode": self.mode,
            "connections": self.connections,
            "in_flight": self.in_flight,
            "seconds": self.took,
            "answers": self.answers,
            "flood_answers": self.flood_answers,
            "least": min(served),
            "most": max(served),
            "odd": self.odd,
            "first": self.first[:256].hex(),
            "latency_us": percentiles(self.latency),
            "cpu": self.cpu,
        }


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Give percentiles in microseconds."""
    ordered = sorted(seconds) or [0.0]
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}
    at = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in shares.items()}
    return {"count": len(seconds), **{name: round(value * 1e6, 1) for name, value in at.items()}}


def main(arguments: list[str]) -> None:
    """Run one mode with `key=value` arguments."""
    client = Client(arguments[0], Options(argument.split("=", 1) for argument in arguments[1:]))
    modes: dict[str, Callable[[], None]] = {
        "echo": client.run_echo,
        "receive": client.run_receive,
        "connect": client.run_connect,
        "idle": client.run_idle,
    }
    modes[client.mode]()
    if client.mode != "idle":
        print(json.dumps(client.report()))


if __name__ == "__main__":
    main(sys.argv[1:])
