"""Calls and notifications over one connection between two servers."""

from __future__ import annotations

from collections.abc import Sequence
from subprocess import TimeoutExpired

import attrs

from benchmarks.bench import Bench
from benchmarks.subject import Absent
from benchmarks.subjects import rpc

__all__ = ["CASES", "RpcCase"]


@attrs.frozen
class RpcCase:
    """Each caller calls an echo of 64 bytes in a closed loop."""

    name: str
    title: str
    callers: Sequence[rpc.Caller]

    def run(self, bench: Bench) -> None:
        """Start each caller and its server in each round."""
        for _ in range(bench.rounds):
            for caller in self.callers:
                if not bench.wants(self.name, caller.name):
                    continue
                try:
                    self._measure(bench, caller)
                except (Absent, OSError, RuntimeError, TimeoutExpired) as error:
                    bench.leave_out(self.name, caller.name, str(error))

    def _measure(self, bench: Bench, caller: rpc.Caller) -> None:
        with caller.start(bench) as call:
            for kind in caller.kinds:
                for in_flight in caller.in_flight if kind == "call" else (1,):
                    figures = call(kind, in_flight, bench.seconds)
                    answers = figures["answers"]
                    load = f"{in_flight:,} in flight" if kind == "call" else "notify"
                    server, own = (seconds / max(1, answers) * 1e6 for seconds in figures["cpu"])
                    values = {"rate": answers / figures["seconds"], "cpu_us": server, "caller_cpu_us": own}
                    bench.record(self.name, caller.name, load, values)


CASES = (
    RpcCase(
        "rpc",
        "Calls over one connection",
        (rpc.FIREFLY, rpc.CHANNEL, rpc.NAIVE, rpc.PINUS, rpc.MPRPC, rpc.ZERORPC, rpc.GRPCIO),
    ),
)
