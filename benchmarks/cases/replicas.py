"""Two gate processes that share a port against one; it takes a third core, because the load needs one too."""

from __future__ import annotations

import os
import sys
import tempfile

import attrs

from benchmarks.bench import Bench
from benchmarks.places import GAME
from benchmarks.process import Process, free_port
from benchmarks.subjects.firefly import Servers, datapack_target

__all__ = ["CASES", "ReplicasCase"]

CORES = 3


@attrs.frozen
class ReplicasCase:
    """The same load on `replicas = 1` and `replicas = 2`."""

    name: str = "two-gates"
    title: str = "Two gates that share a port"
    connections: int = 200

    def run(self, bench: Bench) -> None:
        """Run both in each round; on fewer than three cores there is nothing to see."""
        cores = len(os.sched_getaffinity(0))
        if cores < CORES:
            bench.leave_out(self.name, "Firefly", f"it takes {CORES} cores, this machine gives {cores}")
            return
        for _ in range(bench.rounds):
            for replicas in (1, 2):
                self.measure(bench, replicas)

    def measure(self, bench: Bench, replicas: int) -> None:
        """Measure one number of replicas, under the supervisor that hands them the port."""
        ports = {name: free_port() for name in ("TCP", "JSON", "WS")}
        environment = {f"BENCH_{name}": str(port) for name, port in ports.items()}
        with tempfile.TemporaryDirectory() as folder:
            program = [sys.executable, "-m", "firefly_core.run", "-c", str(GAME / "gate.toml")]
            program += [f"--set=firefly.var={folder}", f"--set=servers.gate.replicas={replicas}"]
            cores = bench.cores.server | bench.cores.back
            with Process("firefly-replicas", program, cores, environment=environment, folder=GAME) as supervisor:
                supervisor.wait_for_port(ports["TCP"])
                target = datapack_target(Servers((), ports))
                bench.load.probe(target)
                figures = bench.load.run(
                    "echo", target, connections=self.connections, in_flight=4, seconds=bench.seconds
                )
        values = {"rate": figures["answers"] / figures["seconds"], "p99_us": figures["latency_us"]["p99"]}
        bench.record(self.name, "Firefly", f"replicas = {replicas}", values)


CASES = (ReplicasCase(),)
