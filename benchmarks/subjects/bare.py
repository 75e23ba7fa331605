"""The bare servers of the same 17-byte header: C on epoll, uvloop, asyncio, gevent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.compiler import build
from benchmarks.load import Target
from benchmarks.places import PEERS
from benchmarks.process import Process, free_port
from benchmarks.subject import Absent, Subject
from benchmarks.wire import BODY, datapack

__all__ = ["ASYNCIO", "C_EPOLL", "GEVENT", "GEVENT_ROUTED", "GEVENT_YIELD", "UVLOOP", "UVLOOP_BATCH"]

Start = Callable[[Bench], AbstractContextManager[Target]]


def _target(port: int, *watch: int) -> Target:
    return Target(port=port, request=datapack(1), expected=BODY, watch=watch)


@contextmanager
def _c_epoll(bench: Bench) -> Iterator[Target]:
    program = build("echo_epoll")
    if program is None:
        raise Absent("no C compiler is here")
    port = free_port()
    with Process("echo_epoll", [program, str(port)], bench.cores.server) as server:
        server.wait_for_port(port)
        yield _target(port, server.pid)


def _python(program: str, *words: str, needs: Sequence[str]) -> Start:
    @contextmanager
    def start(bench: Bench) -> Iterator[Target]:
        for package in needs:
            why = bench.peers.missing(package)
            if why:
                raise Absent(f"{package}: {why}")
        port = free_port()
        command: list[str | Path] = [bench.peers.python, PEERS / program, str(port), *words]
        with Process(Path(program).stem, command, bench.cores.server) as server:
            server.wait_for_port(port)
            yield _target(port, server.pid)

    return start


@contextmanager
def _gevent_routed(bench: Bench) -> Iterator[Target]:
    for package in ("gevent", "msgpack"):
        why = bench.peers.missing(package)
        if why:
            raise Absent(f"{package}: {why}")
    program = PEERS / "gevent_routed.py"
    port, back = free_port(), free_port()
    python = bench.peers.python
    with Process("gevent_node", [python, program, "node", str(back)], bench.cores.back) as node:
        node.wait_for_port(back)
        with Process("gevent_gate", [python, program, "gate", str(port), str(back)], bench.cores.server) as gate:
            gate.wait_for_port(port)
            yield _target(port, gate.pid, node.pid)


C_EPOLL = Subject("C, epoll", _c_epoll, writes="batch", note="the limit: answers with the bytes that came")
UVLOOP = Subject("uvloop Protocol", _python("bare_protocol.py", "uvloop", needs=["uvloop"]))
UVLOOP_BATCH = Subject(
    "uvloop, hand-batched", _python("bare_protocol.py", "uvloop", "batch", needs=["uvloop"]), writes="batch"
)
ASYNCIO = Subject("asyncio Protocol", _python("bare_protocol.py", needs=[]))
GEVENT = Subject("gevent StreamServer", _python("gevent_stream.py", needs=["gevent"]), note="a greenlet a connection")
GEVENT_YIELD = Subject("gevent StreamServer", _python("gevent_stream.py", "yield", needs=["gevent"]))
GEVENT_ROUTED = Subject("gevent, greenlet a request", _gevent_routed)
