"""Firefly as it is shipped: firefly-run with the files of benchmarks/game."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager

import attrs

from benchmarks.bench import Bench
from benchmarks.load import Target
from benchmarks.places import GAME
from benchmarks.process import Process, free_port
from benchmarks.subject import Absent, Subject
from benchmarks.subjects.certificate import certificate
from benchmarks.wire import BODY, datapack, json_request

__all__ = [
    "ECHO",
    "ECHO_AFTER_YIELD",
    "FIREFLY",
    "FIREFLY_LOCAL",
    "FIREFLY_ROUTED",
    "FIREFLY_TLS",
    "FIREFLY_TYPED",
    "FIREFLY_WEBSOCKET",
    "FIREFLY_YIELD",
    "GROUP",
    "LOGIN",
    "ROUTED_ECHO",
    "SECRET",
    "TO_GROUP",
    "TYPED_ECHO",
    "Servers",
    "datapack_target",
    "running",
    "websocket_target",
]

# The command ids of benchmarks/game.
ECHO, LOGIN, ECHO_AFTER_YIELD, TYPED_ECHO, GROUP, TO_GROUP = 1, 2, 3, 4, 5, 6
ROUTED_ECHO = 101
MOVE = {"x": 120, "y": 80, "name": "x" * 32}
SECRET = "the servers of one benchmark know this"
Start = Callable[[Bench], AbstractContextManager[Target]]


@attrs.frozen
class Servers:
    """Servers of one firefly.toml that run: their pids in the order in which they were started, and their ports."""

    pids: tuple[int, ...]
    ports: Mapping[str, int]


@contextmanager
def running(
    bench: Bench,
    file: str,
    *servers: str,
    first: str = "TCP",
    others: str = "ROOT",
    more: Mapping[str, str] | None = None,
) -> Iterator[Servers]:
    """Run servers of `benchmarks/game/FILE`, the first on the measured core, the others behind it.

    A server is there when the port `first` (or, from the second one on, `others`) is listened on.
    """
    ports = {name: free_port() for name in ("TCP", "WS", "TLS", "JSON", "ROOT")}
    environment = {f"BENCH_{name}": str(port) for name, port in ports.items()}
    environment |= {"FIREFLY_SECRET": SECRET, **(more or {})}
    program = [sys.executable, "-m", "firefly_core.run", "-c", str(GAME / file), "--only"]
    with ExitStack() as stack:
        pids: list[int] = []
        for name in servers:
            cores = bench.cores.back if pids else bench.cores.server
            process = Process(f"firefly-{name}", [*program, name], cores, environment=environment, folder=GAME)
            stack.enter_context(process).wait_for_port(ports[others if pids else first])
            pids.append(process.pid)
        yield Servers(tuple(pids), ports)


def datapack_target(servers: Servers, command: int = ECHO) -> Target:
    """Give the door that speaks datapack with raw bodies."""
    return Target(
        port=servers.ports["TCP"],
        request=datapack(command),
        expected=BODY,
        join=datapack(LOGIN, b"-"),
        watch=servers.pids,
    )


def websocket_target(servers: Servers) -> Target:
    """Give the door that speaks json over WebSocket."""
    request, id_at = json_request(TYPED_ECHO, MOVE)
    return Target(
        port=servers.ports["WS"],
        request=request,
        expected=b'"x":120',
        framing="websocket",
        text=True,
        id_at=id_at,
        join=json_request(LOGIN, "-")[0],
        watch=servers.pids,
    )


def _start(file: str, *servers: str, command: int = ECHO) -> Start:
    @contextmanager
    def start(bench: Bench) -> Iterator[Target]:
        with running(bench, file, *servers) as here:
            yield datapack_target(here, command)

    return start


@contextmanager
def _websocket(bench: Bench) -> Iterator[Target]:
    with running(bench, "gate.toml", "gate") as here:
        yield websocket_target(here)


@contextmanager
def _typed(bench: Bench) -> Iterator[Target]:
    with running(bench, "gate.toml", "gate") as here:
        body = b'{"x":120,"y":80,"name":"' + b"x" * 32 + b'"}'
        target = datapack_target(here)
        yield attrs.evolve(target, port=here.ports["JSON"], request=datapack(TYPED_ECHO, body), expected=b'"x":120')


@contextmanager
def _tls(bench: Bench) -> Iterator[Target]:
    pem = certificate()
    if pem is None:
        raise Absent("the program openssl is not here")
    with running(bench, "tls.toml", "gate", first="TLS", more={"BENCH_PEM": str(pem)}) as here:
        yield attrs.evolve(datapack_target(here), port=here.ports["TLS"], tls=True)


FIREFLY = Subject("Firefly", _start("gate.toml", "gate"), writes="batch")
FIREFLY_LOCAL = Subject("Firefly, not routed", _start("gate.toml", "gate"), writes="batch")
FIREFLY_YIELD = Subject("Firefly", _start("gate.toml", "gate", command=ECHO_AFTER_YIELD), writes="batch")
FIREFLY_WEBSOCKET = Subject("Firefly, json over WebSocket", _websocket, writes="batch")
FIREFLY_TLS = Subject("Firefly, TLS", _tls, writes="batch")
FIREFLY_TYPED = Subject("Firefly, typed payload", _typed, writes="batch", note="json in, an attrs class, json out")
FIREFLY_ROUTED = Subject("Firefly", _start("routed.toml", "gate", "world", command=ROUTED_ECHO), writes="batch")
