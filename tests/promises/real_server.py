"""A real server: a process in a folder of its own, on a free port, killed and stopped as a machine would do it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from tests.ports import free_port

__all__ = ["RealServer", "free_port", "program", "running"]

START_TIMEOUT = 60.0
Server = TypeVar("Server", bound="RealServer")


def program(name: str, package: str, *folders: str) -> str:
    """Give the path of a program; raises LookupError that names its package."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *folders)))
    if found is None:
        raise LookupError(f"{name} is not here; apt-get install {package}")
    return found


def _states(pid: int) -> list[str]:
    """Give the state of each thread of a process; none when it has gone."""
    states = []
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            states.append(path.read_text().rpartition(")")[2].split()[0])
    return states


class RealServer:
    """One server process, on one port for all its lives."""

    user: ClassVar[str | None] = None
    """Whom it runs as when this process is root; it may refuse to run as root."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self.durable = durable
        """Whether a commit waits for the disk; a kill of the process loses nothing either way."""
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Make its data folder, once."""

    def command(self) -> Sequence[str]:
        """Give the command that runs it in the foreground."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def _as_user(self) -> dict[str, Any]:
        if self.user is None or os.geteuid() != 0:
            return {}
        entry = pwd.getpwnam(self.user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def own(self) -> None:
        """Give the folder to the user whom it runs as."""
        about = self._as_user()
        if about:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, about["user"], about["group"])

    def run(self, *command: str, **options: Any) -> str:
        """Run a program of the server's user to its end; gives what it printed. Raises CalledProcessError."""
        return subprocess.run(
            command, check=True, capture_output=True, text=True, cwd=self.folder, **self._as_user(), **options
        ).stdout

    def start(self) -> None:
        """Start it and wait until it answers; raises RuntimeError with its log when it does not."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, **self._as_user()
            )
        end = time.monotonic() + START_TIMEOUT
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"{self.command()[0]} did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stop it as it is: its sockets stay open and nobody answers."""
        self.signal(signal.SIGSTOP)
        self.wait_stopped()

    def pids(self) -> list[int]:
        """Give the processes that it is made of."""
        return [] if self.process is None else [self.process.pid]

    def wait_stopped(self) -> None:
        """Wait until no thread runs any more: a signal takes its time to reach them all."""
        end = time.monotonic() + START_TIMEOUT
        while any(state not in "TtZX" for pid in self.pids() for state in _states(pid)):
            assert time.monotonic() < end
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in an orderly way."""
        self.thaw()
        self.signal(signal.SIGTERM)
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            self.kill()


@contextlib.contextmanager
def running(make: Callable[[Path], Server], where: str | None = None) -> Iterator[Server]:
    """Run a server in a folder with a short path (a socket has 107 characters at most) that its own user may enter."""
    with tempfile.TemporaryDirectory(prefix="firefly-", dir=where) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = make(folder)
        server.prepare()
        server.start()
        try:
            yield server
        finally:
            server.kill()
