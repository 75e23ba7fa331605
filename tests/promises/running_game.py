"""Servers that really run: a firefly.toml in a folder of its own, started by `firefly-run`, watched from outside."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gevent

from tests.ports import free_ports

__all__ = ["RunningGame", "free_ports", "running_game", "wait_until"]

ROOT = Path(__file__).parents[2]
PAGE = os.sysconf("SC_PAGE_SIZE")
START_TIMEOUT = 60.0
PLACE = re.compile(r"(?<!\$){(\w+)}")
"""Where a port belongs; `${NAME}` is the environment's."""


def wait_until(condition: Callable[[], Any], what: str = "", timeout: float = 30.0, pause: float = 0.01) -> Any:
    """Wait until `condition()` gives something true, and give it; raises AssertionError when it does not in time."""
    ends = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < ends, f"not within {timeout} s: {what}"
        gevent.sleep(pause)
    return found


class RunningGame:
    """`toml` with `{name}` where a free port belongs; `modules` are files beside it. `only` is one process alone.

    `inside` is what the command begins with, such as `ip netns exec NAME`; `environ` stands above the environment.
    """

    def __init__(
        self,
        folder: Path,
        toml: str,
        modules: Mapping[str, str],
        *,
        only: str | None = None,
        inside: tuple[str, ...] = (),
        environ: Mapping[str, str] | None = None,
        wait: bool = True,
    ) -> None:
        self.folder = folder
        names = sorted(set(PLACE.findall(toml)))
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        toml = PLACE.sub(lambda found: str(self.ports[found[1]]), toml)
        (folder / "firefly.toml").write_text(toml)
        for name, source in modules.items():
            (folder / f"{name}.py").write_text(source)
        self.log = folder / "log.txt"
        self._only = only
        self._command = [*inside, sys.executable, "-m", "firefly_core.run"]
        self.environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", **(environ or {})}
        self.process = self.launch(*(["--only", only] if only else []))
        if wait:
            self.wait_ready()

    def launch(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `firefly-run` in the folder; what it says goes to the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self._command, *arguments], cwd=self.folder, stdout=log, stderr=log, env=self.environ
            )

    def wait_ready(self) -> None:
        """Wait until all that was started is ready."""
        word = "event=ready" if self._only else "all servers ready"

        def ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return word in self.log.read_text()

        wait_until(ready, "ready", START_TIMEOUT)

    def lines(self) -> list[str]:
        """Give the log so far."""
        return self.log.read_text(errors="replace").splitlines()

    def pid(self, name: str = "") -> int:
        """Give the process id of a server that was ready, the newest one of that name."""
        if self._only:
            return self.process.pid
        return {who: int(pid) for who, pid in re.findall(r"(\S+) is ready pid=(\d+)", self.log.read_text())}[name]

    def resident(self, name: str = "") -> int:
        """Give the bytes of memory that a server holds."""
        return int(Path(f"/proc/{self.pid(name)}/statm").read_text().split()[1]) * PAGE

    def descriptors(self, name: str = "") -> int:
        """Give how many files a server has open."""
        return len(os.listdir(f"/proc/{self.pid(name)}/fd"))

    def limit_descriptors(self, most: int, name: str = "") -> None:
        """Let a running server open no more than so many files."""
        resource.prlimit(self.pid(name), resource.RLIMIT_NOFILE, (most, most))

    def signal(self, number: int, name: str = "") -> None:
        """Send a server a signal."""
        os.kill(self.pid(name), number)

    def stop(self) -> int:
        """Stop it in order; gives its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


@contextlib.contextmanager
def running_game(toml: str, modules: Mapping[str, str], **options: Any) -> Iterator[RunningGame]:
    """Run a game in a temporary folder, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="game-") as folder:
        game = RunningGame(Path(folder), toml, modules, **options)
        try:
            yield game
        finally:
            game.stop()
