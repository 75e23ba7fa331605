"""A process that has everything imported and forks servers from then on: a start costs a tenth of a new process's.

    hatchery = Hatchery(file); pid = hatchery.hatch("world-1", JOB="..."); hatchery.kill(pid)

What comes out is `firefly-run --only NAME` in every other respect. Run as a program it is that process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["Hatchery"]


class Hatchery:
    """Servers of one firefly.toml; their logs are beside it."""

    def __init__(self, file: Path) -> None:
        path = os.pathsep.join(part for part in sys.path if part)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.promises.hatchery", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            cwd=Path(__file__).parents[2],
        )

    def hatch(self, name: str, **environ: str) -> int:
        """Start a server; gives its pid."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"name": name, "environ": environ}).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def kill(self, pid: int) -> None:
        """kill -9."""
        os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """End the hatchery; servers that still run stay."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _serve(file: Path) -> None:
    from gevent import monkey

    import firefly_core.cli.main
    import tests.promises.jobs

    assert tests.promises.jobs
    fork = monkey.get_original("os", "fork")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        wanted = json.loads(line)
        child = fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _live(firefly_core.cli.main.main, file, **wanted)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def _live(run: Any, file: Path, name: str, environ: dict[str, str]) -> None:
    os.environ.update(environ)
    log = os.open(file.parent / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    run(["-c", str(file), "--only", name], prog_name="firefly-run")


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()
    _serve(Path(sys.argv[1]))
