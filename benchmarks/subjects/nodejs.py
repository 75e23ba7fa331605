"""The peers from npm: Colyseus and Pinus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.load import Target
from benchmarks.places import BUILT, NODE
from benchmarks.process import Process, free_port
from benchmarks.subject import Absent, Subject
from benchmarks.wire import BODY, pinus_package, pinus_request

__all__ = ["COLYSEUS", "COLYSEUS_ROOM", "PINUS", "PINUS_ROUTED"]

COMPILER_WARMUP = 1.0
"""Seconds until V8 has compiled what is hot."""
# The ports that stand in peers/node/pinus/config.
MASTER, CONNECTOR, BACK, CLIENTS = 22005, 22150, 22151, 22010


def _check(bench: Bench) -> None:
    if bench.peers.node_missing:
        raise Absent(bench.peers.node_missing)


class Seats:
    """The paths of the seats that the room reserved: every connection takes one, and no seat is taken twice."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def take(self, connections: int) -> Path:
        """Give a file with so many paths of free seats; raises Absent when there are not as many."""
        taken, self._lines = self._lines[:connections], self._lines[connections:]
        if len(taken) < connections:
            raise Absent("there are not enough seats in the room")
        paths = BUILT / "seats-taken.txt"
        paths.write_text("\n".join(taken) + "\n")
        return paths


def _colyseus(seats: int) -> Callable[[Bench], AbstractContextManager[Target]]:
    return lambda bench: _room(bench, seats)


@contextmanager
def _room(bench: Bench, seats: int) -> Iterator[Target]:
    _check(bench)
    port, paths = free_port(), BUILT / "seats.txt"
    paths.unlink(missing_ok=True)
    command: list[str | Path] = ["node", NODE / "colyseus.mjs", str(port), str(seats), paths]
    with Process("colyseus", command, bench.cores.server, folder=NODE) as server:
        server.wait_for_port(port)
        while not paths.exists() or paths.read_text().count("\n") < seats:
            server.check()
        yield Target(
            port=port,
            request=b"\x0d\xa4echo\xd9\x40" + BODY,
            expected=BODY,
            framing="websocket",
            greetings=1,
            ready=b"\x0a",
            paths=Seats(paths.read_text().splitlines()).take,
            watch=(server.pid,),
            warmup=COMPILER_WARMUP,
        )


def _pinus(route: str) -> Callable[[Bench], AbstractContextManager[Target]]:
    hello = b'{"sys":{"version":"1.1.1","type":"benchmark"},"user":{}}'

    @contextmanager
    def start(bench: Bench) -> Iterator[Target]:
        _check(bench)
        folder = NODE / "pinus"
        program = ["node", "app.js", "env=production", "mode=stand-alone"]
        here = "host=127.0.0.1"
        connector = ["id=connector-server-1", "serverType=connector", here, f"port={CONNECTOR}", "frontend=true"]
        connector += ["clientHost=127.0.0.1", f"clientPort={CLIENTS}"]
        back = ["id=back-server-1", "serverType=back", here, f"port={BACK}"]
        with ExitStack() as stack:
            process = Process("pinus-master", [*program, "startId=master"], bench.cores.back, folder=folder)
            stack.enter_context(process).wait_for_port(MASTER)
            process = Process("pinus-connector", [*program, *connector], bench.cores.server, folder=folder)
            gate = stack.enter_context(process)
            node = stack.enter_context(Process("pinus-back", [*program, *back], bench.cores.back, folder=folder))
            gate.wait_for_port(CLIENTS)
            node.wait_for_port(BACK)
            yield Target(
                port=CLIENTS,
                request=pinus_request(route, {"b": BODY.decode()}),
                expected=BODY,
                framing="pinus",
                hello=pinus_package(1, hello),
                greetings=1,
                ready=pinus_package(2, b""),
                watch=(gate.pid, node.pid),
                warmup=COMPILER_WARMUP,
            )

    return start


COLYSEUS = Subject("Colyseus (WebSocket)", _colyseus(4200))
COLYSEUS_ROOM = Subject("Colyseus (WebSocket)", _colyseus(10_100))
PINUS = Subject("Pinus (TCP)", _pinus("connector.entryHandler.echo"))
PINUS_ROUTED = Subject("Pinus, frontend and back", _pinus("back.entryHandler.echo"))
