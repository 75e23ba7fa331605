"""A game that really runs, with somebody who operates it: asks its supervisor, kills it, and counts who is left."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgpack

from firefly_core.errors import FireflyError
from firefly_core.kernel.supervisor.inquiry import ask
from tests.promises.running_game import RunningGame, wait_until

__all__ = ["OperatedGame", "operated_game"]

MARK = "FIREFLY_MARK_OF_A_PROMISE"


class OperatedGame(RunningGame):
    """Every process that comes from it is found by a mark in its environment, whoever its parent is by then."""

    def __init__(self, folder: Path, toml: str, modules: Mapping[str, str], **options: Any) -> None:
        self._mark = uuid.uuid4().hex
        environ = {**options.pop("environ", {}), MARK: self._mark}
        super().__init__(folder, toml, modules, environ=environ, **options)

    def family(self) -> list[int]:
        """Give the pid of every process that comes from it and runs."""
        wanted = f"{MARK}={self._mark}".encode()
        found = []
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if entry.isdigit() and wanted in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    found.append(int(entry))
        return found

    def ask(self, what: str, **values: Any) -> Any:
        """Ask the supervisor; raises FireflyError."""
        return ask(self.folder / "var" / "firefly.sock", what, timeout=60.0, **values)

    def call(self, root: str, method: str, *parameters: Any) -> Any:
        """Call an open remote at the open root of that port; raises AssertionError when it fails."""
        unpacker = msgpack.Unpacker(strict_map_key=False)
        with socket.create_connection(("127.0.0.1", self.ports[root]), timeout=20) as line:
            line.sendall(msgpack.packb([0, 1, method, parameters]))
            while data := line.recv(65536):
                unpacker.feed(data)
                for _, _, error, result in unpacker:
                    assert error is None, error
                    return result
        raise AssertionError(f"{method}: the root has closed")

    def states(self) -> dict[str, dict[str, Any]]:
        """Give what the supervisor says of each process; nothing while it does not answer."""
        with contextlib.suppress(FireflyError):
            return {each["name"]: each for each in self.ask("status")["processes"]}
        return {}

    def wait_state(self, process: str, *states: str, timeout: float = 30.0) -> dict[str, Any]:
        """Wait until a process is in one of these states, and give what the supervisor says of it."""

        def there() -> dict[str, Any] | None:
            told = self.states().get(process)
            return told if told is not None and told["state"] in states else None

        found: dict[str, Any] = wait_until(there, f"{process} {states}: {self.lines()[-5:]}", timeout)
        return found

    def again(self) -> subprocess.Popen[bytes]:
        """Start `firefly-run` anew in the same folder."""
        self.process = self.launch()
        return self.process

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `firefly-run` to its end."""
        return subprocess.run(
            [*self._command, *arguments], cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=120
        )


@contextlib.contextmanager
def operated_game(toml: str, modules: Mapping[str, str], **options: Any) -> Iterator[OperatedGame]:
    """Run a game in a temporary folder, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="game-") as folder:
        game = OperatedGame(Path(folder), toml, modules, **options)
        try:
            yield game
        finally:
            game.stop()
