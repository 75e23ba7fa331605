"""Servers as real processes: one that owns the database, others that use it over channels, each with a job to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.promises import lab
from tests.promises.servers import free_port

__all__ = ["Fleet"]

FILE = """
[firefly]
name = "fleet"
plugins = ["root", "node", "db-cache"]
secret = "known to every process of this test"

[servers.db]
handlers = ["tests.promises.jobs"]
[servers.db.root]
listen = "tcp://127.0.0.1:{port}"
[servers.db.db-cache]
database = "sqlite:///game.db"
journal = "journal"
models = ["tests.promises.models"]
slack = 65536

[servers.world]
replicas = 8
handlers = ["tests.promises.jobs"]
[servers.world.node]
roots = ["db"]
[servers.world.db-cache]
owner = "db"
models = ["tests.promises.models"]
"""


class Fleet:
    """The processes of one test, in one folder. What a job gives is `result-NAME.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "firefly.toml"
        self.file.write_text(FILE.format(port=free_port()))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def job(self, name: str, job: str, **arguments: Any) -> str:
        """Give what tells a process which job is its own."""
        return json.dumps({"job": job, "name": name, "folder": str(self.folder), **arguments})

    def start(self, name: str, job: str, **arguments: Any) -> None:
        """Start a process (`db-1`, `world-3`) with a function of tests/promises/jobs.py to run."""
        path = os.pathsep.join(part for part in sys.path if part)
        program = [sys.executable, "-m", "firefly_core.run", "-c", str(self.file), "--only", name]
        environ = {**os.environ, "PYTHONPATH": path, "JOB": self.job(name, job, **arguments)}
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(program, env=environ, stdout=log, stderr=log)

    def result(self, name: str, timeout: float = 60.0) -> Any:
        """Wait for a job's result; raises AssertionError with the log when the process ends before."""
        path = self.folder / f"result-{name}.json"
        process = self._processes[name]

        def ended() -> bool:
            if process.poll() is not None and not path.exists():
                raise AssertionError((self.folder / f"{name}.log").read_text()[-3000:])
            return path.exists()

        lab.wait_until(ended, timeout)
        return json.loads(path.read_text())

    def forget(self, name: str) -> None:
        """Remove a result, so that the next job's can be told from it."""
        (self.folder / f"result-{name}.json").unlink(missing_ok=True)

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End everything."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
