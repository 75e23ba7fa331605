"""What players notice of a reload: the latency of a steady load while the handlers are made anew."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import attrs

from benchmarks.bench import Bench
from benchmarks.places import GAME
from benchmarks.process import Process, free_port
from benchmarks.question import ask
from benchmarks.subjects.firefly import Servers, datapack_target
from benchmarks.wire import datapack

__all__ = ["CASES", "ReloadCase"]

CLIENTS = 20
PATIENCE = 30.0


def _gate_pid(supervisor: int) -> int:
    """Give the pid of the server that the supervisor has started."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for pid in children.read_text().split():
            if b"--only" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
        time.sleep(0.05)
    raise RuntimeError("the supervisor has started no server")


@attrs.frozen
class ReloadCase:
    """`firefly-run reload` beside clients that ask one thing at a time; nobody may lose an answer."""

    name: str = "reload"
    title: str = "A reload under load"

    def run(self, bench: Bench) -> None:
        """Measure the same load without and with a reload."""
        for _ in range(bench.rounds):
            with tempfile.TemporaryDirectory() as folder:
                self._measure(bench, folder)

    def _measure(self, bench: Bench, folder: str) -> None:
        ports = {name: free_port() for name in ("TCP", "JSON", "WS")}
        environment = {f"BENCH_{name}": str(port) for name, port in ports.items()}
        program = [
            sys.executable,
            "-m",
            "firefly_core.run",
            "-c",
            str(GAME / "gate.toml"),
            f"--set=firefly.var={folder}",
        ]
        cores = bench.cores.server
        with Process("firefly-reload", program, cores, environment=environment, folder=GAME) as supervisor:
            supervisor.wait_for_port(ports["TCP"])
            ask(ports["TCP"], datapack(2, b"-"))
            target = datapack_target(Servers((_gate_pid(supervisor.pid),), ports))
            for load, reloads in (("without", False), ("with a reload", True)):
                watcher = threading.Thread(target=self._reload, args=(bench, program, environment))
                if reloads:
                    watcher.start()
                figures = bench.load.run("echo", target, connections=CLIENTS, seconds=max(3.0, bench.seconds))
                if reloads:
                    watcher.join()
                values = {
                    "rate": figures["answers"] / figures["seconds"],
                    "p99_us": figures["latency_us"]["p99"],
                    "max_us": figures["latency_us"]["max"],
                }
                bench.record(self.name, "Firefly", load, values)

    @staticmethod
    def _reload(bench: Bench, program: list[str], environment: dict[str, str]) -> None:
        time.sleep(1.0)
        done = subprocess.run(
            [*program, "reload", "--force"],
            env={**os.environ, **environment},
            cwd=GAME,
            capture_output=True,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, bench.cores.load),
        )
        if done.returncode:
            bench.say(f"the reload failed: {done.stderr.strip() or done.stdout.strip()}")


CASES = (ReloadCase(),)
