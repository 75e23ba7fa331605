"""This machine: its cores, and what a reader must know to judge figures that come from it."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

import attrs

__all__ = ["Cores", "describe", "open_files"]


@attrs.frozen
class Cores:
    """Who runs where. With two cores everything but the server itself shares the second one."""

    server: frozenset[int]
    """The core of the server that is measured, and of nothing else."""
    back: frozenset[int]
    """Where a node behind the measured gate runs."""
    load: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Cores:
        """Give every part a core of its own, as far as there are any."""
        free = sorted(os.sched_getaffinity(0), reverse=True)
        first, rest = free[0], free[1:] or free[:1]
        back = rest[0]
        load = rest[1:] or rest
        return cls(frozenset({first}), frozenset({back}), frozenset(load))

    @property
    def shared(self) -> bool:
        """Whether a node and the load client have one core between them."""
        return self.back == self.load


def open_files(wanted: int) -> int:
    """Raise the limit of open files towards `wanted`, and give what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def describe() -> dict[str, str]:
    """Give what stands at the top of a report."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cores = len(os.sched_getaffinity(0))
    return {
        "processor": f"{_processor()}, {cores} {'core' if cores == 1 else 'cores'}",
        "memory": f"{pages / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}",
    }
