"""A web service in a kernel of its own, on a free port, and a client that sends exactly the bytes it is given."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from firefly_web.web import Web

from firefly_core.kernel.config.cluster import load
from firefly_core.kernel.kernel import Kernel


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def read_answer(client: socket.socket, *, head: bool = False) -> Answer:
    """Read one HTTP answer; raises ConnectionError when the server closes before it is complete."""
    file = client.makefile("rb")
    line = file.readline()
    if not line:
        raise ConnectionError("closed without an answer")
    headers = {}
    while (field := file.readline().strip()) != b"":
        name, _, value = field.decode().partition(": ")
        headers[name.lower()] = value
    body = b"" if head else file.read(int(headers.get("content-length", 0)))
    return Answer(int(line.split()[1]), headers, body)


class Site(NamedTuple):
    """A running web service."""

    web: Web
    folder: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(self.web.addresses[0], timeout=10)

    def send(self, data: bytes, *, head: bool = False) -> Answer:
        with self.connect() as client:
            client.sendall(data)
            return read_answer(client, head=head)

    def get(self, path: str, *lines: str, method: str = "GET", body: bytes = b"") -> Answer:
        host = "" if any(line.lower().startswith("host:") for line in lines) else "Host: localhost\r\n"
        extra = "".join(f"{line}\r\n" for line in lines)
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        request = f"{method} {path} HTTP/1.1\r\n{host}{length}{extra}Connection: close\r\n\r\n"
        return self.send(request.encode("latin-1") + body, head=method == "HEAD")


ROUTES = """
import attrs, gevent
from firefly_core import Refuse
from firefly_core.errors import Unavailable
from firefly_web import route

@attrs.frozen
class Point:
    x: int

@route("/hello/<name>")
def hello(ctx, request, name):
    return f"<p>hello {name} of {ctx.command.name}, {request.args.get('q')}"

@route("/point", methods=["GET", "POST"])
def point(ctx, request):
    return Point(len(request.get_data()))

@route("/nothing")
def nothing(ctx, request):
    return None

@route("/bytes")
def some_bytes(ctx, request):
    return b"\\x00\\x01"

@route("/refused")
def refused(ctx, request):
    raise Refuse("too_far", "out of reach")

@route("/away")
def away(ctx, request):
    raise Unavailable("the world is away")

@route("/broken")
def broken(ctx, request):
    raise RuntimeError("secret of the house")

@route("/slow")
def slow(ctx, request):
    gevent.sleep(30)

@route("/own")
def own(ctx, request):
    return "mine", 201, {"Content-Security-Policy": "default-src 'none'"}
"""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Give a function that starts a web service with these keys; it is stopped after the test."""
    kernels: list[Kernel] = []
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<!doctype html><p>the meadow")
    (page / "meadow.js").write_text("export const a = 1;")
    (page / "sub").mkdir()
    (page / "sub" / "index.html").write_text("sub")
    (page / ".hidden").write_text("hidden")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "web_routes.py").write_text(ROUTES)

    def start(keys: str = "", routes: bool = False) -> Site:
        listed = 'routes = ["web_routes"]\n' if routes else ""
        (tmp_path / "firefly.toml").write_text(
            '[firefly]\nname = "test"\nplugins = ["web"]\n[servers.gate.web]\n'
            f'listen = "http://127.0.0.1:0"\nstatic = "page"\n{listed}{keys}\n'
        )
        kernel = Kernel(load(tmp_path / "firefly.toml", {}), "gate")
        kernel.start()
        kernels.append(kernel)
        web = kernel.services["web"]
        assert isinstance(web, Web)
        return Site(web, page)

    yield start
    for kernel in kernels:
        kernel.stop()
    sys.modules.pop("web_routes", None)
    while str(tmp_path) in sys.path:
        sys.path.remove(str(tmp_path))
