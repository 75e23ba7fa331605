"""A small game with an admin server: gate, world and admin in this process, HTTP over a real socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import gevent
import pytest
from firefly_admin.admin import Admin

from firefly_core import Refuse, command, every, push, remote
from firefly_core.testing import FakeClient, InProcessCluster

TOKEN = "a token of the tests, forty letters long"

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols", "admin"]

[servers.gate.gate]
listen = [
  {{ url = "tcp://127.0.0.1:11009", protocol = "json" }},
  {{ url = "ws://127.0.0.1:11010/", protocol = "json", origins = ["none"] }},
]
rate = "off"
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"

[servers.world.node]
roots = ["gate"]

[servers.admin.admin]
listen = "http://127.0.0.1:0"
interval = 0.25
{token}
{keys}
"""


@attrs.frozen
class Login:
    uid: str


@command(1, public=True)
def login(ctx, request: Login) -> str:
    """Come in."""
    ctx.session.bind(request.uid)
    ctx.group("meadow").join(ctx.session)
    return request.uid


@command(2)
def echo(ctx, request):
    return request


@command(3)
def refuse(ctx):
    raise Refuse("too_far", "out of reach")


@command(4)
def broken(ctx):
    raise KeyError("a secret of the server")


@command(5)
def ask(ctx, number: int) -> int:
    return ctx.call("double", number)


@remote("double")
def double(ctx, number: int) -> int:
    return number * 2


@every(0.2)
def tick(ctx):
    return None


caught = push(2001, name="caught")
WORLD = [login, echo, refuse, broken, ask, double, tick, caught]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


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
    return Answer(int(line.split()[1]), headers, b"" if head else file.read(int(headers.get("content-length", 0))))


class Desk:
    """The cluster, and a client of its admin server that sends exactly what it is told."""

    def __init__(self, cluster: InProcessCluster) -> None:
        self.cluster = cluster

    @property
    def admin(self) -> Admin:
        service = self.cluster.kernel("admin").services["admin"]
        assert isinstance(service, Admin)
        return service

    @property
    def port(self) -> int:
        return self.admin.addresses[0][1]

    def send(self, data: bytes, *, head: bool = False) -> Answer:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
            client.sendall(data)
            return read_answer(client, head=head)

    def ask(self, method: str, path: str, *lines: str, body: bytes = b"") -> Answer:
        """Ask with these header lines and nothing else that a header could say."""
        host = "" if any(line.lower().startswith("host:") for line in lines) else "Host: localhost\r\n"
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        extra = "".join(f"{line}\r\n" for line in lines)
        head = f"{method} {path} HTTP/1.1\r\n{host}{length}{extra}Connection: close\r\n\r\n"
        return self.send(head.encode("utf-8") + body, head=method == "HEAD")

    def get(self, path: str, *lines: str) -> Answer:
        return self.ask("GET", path, f"Authorization: Bearer {TOKEN}", *lines)

    def act(self, action: str, order: Any = None, *lines: str) -> Answer:
        """Do what the console does."""
        body = json.dumps({} if order is None else order).encode()
        return self.ask(
            "POST",
            f"/api/{action}",
            f"Authorization: Bearer {TOKEN}",
            "Content-Type: application/json",
            "X-Firefly-Admin: 1",
            *lines,
            body=body,
        )

    def enter(self, uid: str, **options: Any) -> FakeClient:
        """Log a player in."""
        client = self.cluster.connect(**options)
        assert client.request("login", {"uid": uid}) == uid
        return client

    def look(self) -> None:
        """Have the admin look at everything now."""
        self.admin.survey.look()

    def wait(self, condition: Callable[[], Any], what: str = "the condition") -> Any:
        """Wait for a condition and give what it gave."""
        with gevent.Timeout(10, AssertionError(f"not in 10 s: {what}")):
            while not (found := condition()):
                gevent.sleep(0.02)
        return found


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Give a function that starts the cluster: `make_desk(keys="bad_tokens = 3")`, `token=None` for a made one."""
    made: list[InProcessCluster] = []

    def start(
        keys: str = "", *, token: str | None = TOKEN, toml: str = TOML, handlers: Any = None, wait: bool = True
    ) -> Desk:
        text = toml.format(token=f'token = "{token}"' if token else "", keys=keys)
        cluster = InProcessCluster(text, handlers={"world": WORLD} if handlers is None else handlers, folder=tmp_path)
        made.append(cluster)
        cluster.start()
        desk = Desk(cluster)
        if wait:
            desk.wait(lambda: all(view.up for view in desk.admin.survey.views.values()), "everybody is seen")
        return desk

    yield start
    for cluster in made:
        cluster.close()


class Supervisor:
    """What stands for the pipe to a supervisor that says of each process what a test wants it to say."""

    def __init__(self, *names: str) -> None:
        counts = {"starts": 1, "crashes": 0, "crash": None, "dropped": 0, "lost_lines": 0, "ending": None}
        self.processes = {name: {"name": name, "state": "ready", **counts} for name in names}

    def ask(self, what: str, *, timeout: float) -> dict[str, Any]:
        assert what == "status"
        return {"supervisor": {"state": "ready"}, "processes": list(self.processes.values())}


@pytest.fixture
def supervisor_of() -> Callable[[Desk], Supervisor]:
    """Give a function that gives an admin a supervisor to ask; to be heard at the next look."""

    def give(desk: Desk) -> Supervisor:
        made = Supervisor(*desk.admin.survey.views)
        desk.cluster.kernel("admin").supervisor = made  # type: ignore[assignment]
        return made

    return give


@pytest.fixture
def supervisor(desk: Desk, supervisor_of: Callable[[Desk], Supervisor]) -> Supervisor:
    """Give the supervisor of the desk's admin."""
    return supervisor_of(desk)


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """Give the cluster as it is, with every server seen by the admin."""
    return make_desk()
