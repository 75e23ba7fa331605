"""Ports for servers that tests start: no two processes of tests are given the same ones.

Whoever looks for a free port and hands it to a process that is still to start leaves a gap in which somebody else finds
the same one. So each process of tests has a block of ports to itself, below those that the system hands out by itself.
"""

from __future__ import annotations

import contextlib
import random
import socket

__all__ = ["free_port", "free_ports"]

FIRST, BLOCK, BLOCKS = 12_000, 200, 45  # up to 21,000, where the benchmarks begin
_blocks: list[tuple[int, socket.socket]] = []
_given = 0


def free_ports(count: int) -> list[int]:
    """Give ports that nobody has just now, one beside the other."""
    global _given
    if not _blocks:
        _blocks.append(_take_block())
    first = _blocks[0][0]
    for _ in range(BLOCK):
        start = _given % (BLOCK - count + 1)
        ports = list(range(first + start, first + start + count))
        if all(map(_is_free, ports)):
            _given = start + count
            return ports
        _given = start + 1
    raise OSError(f"no {count} ports are free from {first} to {first + BLOCK - 1}")


def free_port() -> int:
    """Give a port that nobody has just now."""
    [port] = free_ports(1)
    return port


def _take_block() -> tuple[int, socket.socket]:
    """Give the first port of a block, and the claim to it: a name that goes when this process does."""
    for number in random.SystemRandom().sample(range(BLOCKS), BLOCKS):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0firefly-tests-ports-{number}")
        except OSError:
            claim.close()
            continue
        return FIRST + number * BLOCK, claim
    raise OSError(f"all {BLOCKS} blocks of ports are taken")


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False
