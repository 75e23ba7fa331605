"""A server under test: started on its core, asked for its CPU time and memory, stopped for certain."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from benchmarks.places import BUILT

__all__ = ["Process", "cpu_seconds", "free_port", "memory"]

PATIENCE = 30.0
_given: list[int] = []


def free_port(first: int = 21000) -> int:
    """Give a port that nobody listens on, below the range from which the kernel takes ports for clients."""
    for port in range(first + os.getpid() % 1000 * 8, 32000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in _given:
                _given.append(port)
                del _given[:-64]
                return port
    raise RuntimeError("no port is free")


def cpu_seconds(pid: int) -> float:
    """Give the seconds that all threads of a process have run."""
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(path.read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


def memory(pid: int) -> int:
    """Give the bytes of a process that are in memory and its alone."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no Pss_Anon in smaps_rollup")


class Process:
    """A program on its cores, its output in `var/benchmarks/logs`. Leaving the `with` ends it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        cores: Iterable[int],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self._command = [str(part) for part in command]
        self._cores = set(cores)
        self._environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
        self._folder = folder
        self.log = BUILT / "logs" / f"{name}.log"

    def __enter__(self) -> Process:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w") as log:
            self._popen = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
                preexec_fn=lambda: os.sched_setaffinity(0, self._cores),
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def wait_for_port(self, port: int, patience: float = PATIENCE) -> None:
        """Wait until it listens; raises RuntimeError, with the end of its output, when it does not."""
        until = time.monotonic() + patience
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                self.check()
                if time.monotonic() > until:
                    raise RuntimeError(f"{self.name} does not listen on port {port}") from None
                time.sleep(0.01)
            else:
                return

    def check(self) -> None:
        """Raise RuntimeError, with the end of its output, if it has ended."""
        if self._popen.poll() is not None:
            tail = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name} has ended with {self._popen.returncode}:\n{tail}")

    def stop(self) -> None:
        """End it and everything that it started: asked first, killed after two seconds."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._popen.pid, number)
                self._popen.wait(2)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
            else:
                break
        self._popen.wait()
