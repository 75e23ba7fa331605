"""What makes calls over one connection: Firefly's `ctx.call`, the channel under it, and the RPC libraries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import attrs

from benchmarks.bench import Bench
from benchmarks.places import NODE, PEERS
from benchmarks.process import Process, free_port
from benchmarks.question import ask_json
from benchmarks.subject import Absent
from benchmarks.subjects.firefly import running

__all__ = ["CHANNEL", "FIREFLY", "GRPCIO", "MPRPC", "NAIVE", "PINUS", "ZERORPC", "Caller"]

RUN = 9
"""The command of benchmarks/game/caller.py."""
Call = Callable[[str, int, float], dict[str, Any]]
"""`(kind, calls in flight, seconds)` to answers, seconds and the CPU seconds of server and caller."""


@attrs.frozen
class Caller:
    """One way to make calls. `kinds`: `call`, and `notify` where that was asked for."""

    name: str
    start: Callable[[Bench], AbstractContextManager[Call]]
    in_flight: Sequence[int] = (1, 100)
    kinds: Sequence[str] = ("call",)
    note: str = ""


@contextmanager
def _firefly(bench: Bench) -> Iterator[Call]:
    # The called server is the measured one, so it runs on the measured core; the caller is behind it.
    with running(bench, "rpc.toml", "callee", "caller", first="ROOT", others="TCP") as here:

        def call(kind: str, in_flight: int, seconds: float) -> dict[str, Any]:
            task = {"kind": kind, "in_flight": in_flight, "seconds": seconds, "watched": here.pids[0]}
            figures: dict[str, Any] = ask_json(here.ports["TCP"], RUN, task)
            return figures

        yield _once_connected(call)


def _once_connected(call: Call) -> Call:
    """Wait until the two servers have found each other."""
    until = time.monotonic() + 10
    while True:
        try:
            call("call", 1, 0.01)
        except (RuntimeError, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return call


def _library(
    program: Path, python: bool, needs: Sequence[str], *, own: bool = False
) -> Callable[[Bench], AbstractContextManager[Call]]:
    """Start a program of `benchmarks/peers` with what the peers are run by; `own`: with this Python."""

    @contextmanager
    def start(bench: Bench) -> Iterator[Call]:
        for package in needs:
            why = bench.peers.missing(package)
            if why:
                raise Absent(f"{package}: {why}")
        if not python and bench.peers.node_missing:
            raise Absent(bench.peers.node_missing)
        interpreter = sys.executable if own else bench.peers.python if python else "node"
        command = [str(interpreter), str(program)]
        folder = None if python else NODE
        port = free_port()
        with Process(program.stem, [*command, "serve", str(port)], bench.cores.server, folder=folder) as server:
            server.wait_for_port(port)

            def call(_kind: str, in_flight: int, seconds: float) -> dict[str, Any]:
                arguments = [*command, "call", str(port), str(in_flight), str(seconds), str(server.pid)]
                done = subprocess.run(
                    arguments,
                    capture_output=True,
                    text=True,
                    timeout=seconds + 60,
                    cwd=folder,
                    preexec_fn=lambda: os.sched_setaffinity(0, bench.cores.back),
                )
                lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
                if done.returncode or not lines:
                    raise RuntimeError(done.stderr.strip()[-500:] or "the caller said nothing")
                figures: dict[str, Any] = json.loads(lines[-1])
                return figures

            yield call

    return start


def _python(name: str, *needs: str) -> Callable[[Bench], AbstractContextManager[Call]]:
    return _library(PEERS / f"{name}_rpc.py", True, needs)


FIREFLY = Caller(
    "Firefly", _firefly, in_flight=(1, 100, 1000), kinds=("call", "notify"), note="`ctx.call`, which chooses a server"
)
CHANNEL = Caller(
    "Firefly, a channel alone",
    _library(PEERS / "channel_rpc.py", True, (), own=True),
    in_flight=(1, 100, 1000),
    note="what `ctx.call` stands on; one connection and no choice, as with the libraries below",
)
NAIVE = Caller("naive gevent + msgpack", _python("naive", "gevent", "msgpack"), note="a greenlet a request")
MPRPC = Caller("mprpc", _python("mprpc", "gevent", "mprpc"), note="a connection a caller")
ZERORPC = Caller("zerorpc", _python("zerorpc", "zerorpc"))
GRPCIO = Caller("grpcio", _python("grpcio", "grpcio"))
PINUS = Caller("pinus-rpc", _library(NODE / "pinus_rpc.js", False, ()))
