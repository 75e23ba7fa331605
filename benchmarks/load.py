"""The load: runs the client in C against a target, or the slower one in Python where no compiler is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from benchmarks.compiler import build
from benchmarks.machine import Cores
from benchmarks.places import HERE

__all__ = ["Load", "LoadError", "Target"]

SLACK = 60.0
"""Seconds that a run of the client may take beyond those it was asked for."""


class LoadError(Exception):
    """The client could not do what it was asked; the message is its own."""


@attrs.frozen
class Target:
    """Whom to load, and what to say to it."""

    port: int
    request: bytes
    expected: bytes
    """What must stand in the first answer."""
    framing: str = "datapack"
    text: bool = False
    path: str = "/"
    paths: Callable[[int], Path] | None = None
    """Gives a file with so many paths, where every connection needs one of its own."""
    hello: bytes = b""
    greetings: int = 0
    ready: bytes = b""
    join: bytes = b""
    """Sent and answered once on each connection, before anything counts."""
    id_at: int | None = None
    tls: bool = False
    """Over TLS: with the Python client, because the one in C does not speak it."""
    watch: tuple[int, ...] = ()
    """The processes whose CPU time is measured; the first is the server itself."""
    warmup: float = 0.3

    def options(self, connections: int) -> Iterator[str]:
        """Give the client's arguments for so many connections."""
        yield f"port={self.port}"
        yield f"request={self.request.hex()}"
        yield f"framing={self.framing}"
        yield f"text={int(self.text)}"
        yield f"path={self.path}"
        yield f"greetings={self.greetings}"
        yield f"warmup={self.warmup}"
        yield "sources=64"
        if self.tls:
            yield "tls=1"
        for name, value in (("hello", self.hello), ("ready", self.ready), ("join", self.join)):
            if value:
                yield f"{name}={value.hex()}"
        if self.paths is not None:
            yield f"paths={self.paths(connections)}"
        if self.id_at is not None:
            yield f"id_at={self.id_at}"
        if self.watch:
            yield f"watch={','.join(map(str, self.watch))}"


class Load:
    """The client on its cores. `kind` is `c` or `python`."""

    def __init__(self, cores: Cores) -> None:
        self._cores = set(cores.load)
        program = build("load")
        self.kind = "python" if program is None else "c"
        self._slow = [sys.executable, str(HERE / "client.py")]
        self._quick = self._slow if program is None else [str(program)]

    def run(self, mode: str, target: Target, **options: float | str) -> dict[str, Any]:
        """Run one mode to its end and give its figures; raises LoadError."""
        arguments = [*self._program(target), mode, *target.options(int(options.get("connections", 1)))]
        arguments += [f"{key}={value}" for key, value in options.items()]
        patience = float(options.get("seconds", 1)) + target.warmup + SLACK
        try:
            done = subprocess.run(
                arguments, capture_output=True, text=True, timeout=patience, preexec_fn=self._take_place
            )
        except subprocess.TimeoutExpired:
            raise LoadError(f"the client did not end in {patience:.0f} s") from None
        if done.returncode:
            raise LoadError(done.stderr.strip() or f"the client ended with {done.returncode}")
        figures: dict[str, Any] = json.loads(done.stdout)
        if figures.get("odd"):
            raise LoadError(f"{figures['odd']} answers had another length than the first, {figures['first']}")
        if mode == "echo" and target.expected.hex() not in figures["first"]:
            raise LoadError(f"the answer is {bytes.fromhex(figures['first'])!r}")
        return figures

    def probe(self, target: Target, patience: float = 20.0) -> None:
        """Wait until one request is answered as it should be; raises LoadError when that takes too long."""
        alone = attrs.evolve(target, warmup=0.0, watch=())
        until = time.monotonic() + patience
        while True:
            try:
                self.run("echo", alone, connections=1, in_flight=1, seconds=0.02)
            except LoadError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return

    @contextmanager
    def hold(self, target: Target, connections: int) -> Iterator[None]:
        """Keep connections open that say nothing."""
        arguments = [*self._program(target), "idle", *target.options(connections), f"connections={connections}"]
        with subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=self._take_place
        ) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            try:
                if json.loads(client.stdout.readline() or "{}") != {"open": connections}:
                    raise LoadError(f"the client did not open {connections} connections")
                yield
            finally:
                client.stdin.close()
                client.wait(10)

    def _program(self, target: Target) -> list[str]:
        return self._slow if target.tls else self._quick

    def _take_place(self) -> None:
        os.sched_setaffinity(0, self._cores)
