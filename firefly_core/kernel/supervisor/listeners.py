"""The listening sockets that the supervisor holds for its servers: their queue of clients outlives a restart.

Each replica has a socket of its own on a shared port (SO_REUSEPORT). Linux would let two strangers of one user share a
port likewise, and split the clients between them; so each address is tried without that option first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.supervisor.plan import Address

__all__ = ["Listeners", "problem_of", "process_listening_on"]

BACKLOG = 4096
"""Clients that may wait while a gate starts anew; Linux takes this or net.core.somaxconn, whichever is smaller."""


class Listeners:
    """Sockets by process name and URL."""

    def __init__(self) -> None:
        self._sockets: dict[tuple[str, str], socket.socket] = {}
        self._resting: set[str] = set()
        """Processes that will be away for so long that clients had better not wait for them."""

    def held(self) -> set[tuple[str, int]]:
        """Give the hosts and ports that are held at present."""
        return {found.getsockname()[:2] for found in self._sockets.values()}

    def open(self, process: str, addresses: Iterable[Address]) -> dict[str, int]:
        """Give the descriptors of `process` by URL; opens those that are not open yet. Raises OSError."""
        wanted = {address.url: address for address in addresses}
        self._resting.discard(process)
        for owner, url in list(self._sockets):
            if owner == process and url not in wanted:
                self._sockets.pop((owner, url)).close()
        for url, address in wanted.items():
            if (process, url) not in self._sockets:
                self._sockets[process, url] = _listen(address)
        self._close_resting()
        return {url: self._sockets[process, url].fileno() for url in wanted}

    def rest(self, process: str) -> None:
        """Let the clients of a process that will be away for long go to its replicas, as long as one of them listens.

        Who waits in its queue is reset, and finds another one when he comes again. `open` ends it.
        """
        self._resting.add(process)
        self._close_resting()

    def _close_resting(self) -> None:
        awake = {url for owner, url in self._sockets if owner not in self._resting}
        for owner, url in list(self._sockets):
            if owner in self._resting and url in awake:
                self._sockets.pop((owner, url)).close()

    def close(self, process: str | None = None) -> None:
        """Close the sockets of `process`, or all: clients are refused then instead of waiting for nobody."""
        for owner, url in list(self._sockets):
            if process in (None, owner):
                self._sockets.pop((owner, url)).close()


def problem_of(address: Address) -> str | None:
    """Give what keeps `address` from being listened on, or None; the holder of a port that is taken is named."""
    try:
        family, place = _resolve(address)
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return f"{address.key}: cannot listen on {address.url}: {error.strerror or error}"
        holder = process_listening_on(address.port)
        return f"{address.key}: {address.url} is taken by {holder or 'another process'}"
    return None


def check(addresses: Iterable[Address]) -> None:
    """Raise ConfigurationError with every address that cannot be listened on."""
    problems = [problem for address in addresses if (problem := problem_of(address)) is not None]
    if problems:
        raise ConfigurationError(problems)


def _resolve(address: Address) -> tuple[int, tuple[object, ...]]:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, place = found[0]
    return family, place


def _listen(address: Address) -> socket.socket:
    family, place = _resolve(address)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def process_listening_on(port: int) -> str | None:
    """Give `NAME (pid N)` of the process that listens on a TCP port of this machine, if this user may know."""
    inodes = set(_listening_inodes(port))
    for folder in Path("/proc").iterdir() if inodes else ():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and any(_links(folder / "fd") & inodes for _ in (0,)):
                return f"{(folder / 'comm').read_text().strip()} (pid {folder.name})"
    return None


def _links(folder: Path) -> set[str]:
    links = set()
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):
            links.add(os.readlink(entry))
    return links


def _listening_inodes(port: int) -> Iterable[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                local, state, inode = (fields := line.split())[1], fields[3], fields[9]
                if state == "0A" and int(local.rpartition(":")[2], 16) == port:
                    yield f"socket:[{inode}]"
