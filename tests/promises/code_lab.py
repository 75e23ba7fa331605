"""A game in a folder of its own whose sources are changed while it is played: a gate, a node, and players."""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent

from firefly_core.kernel.reload.reload_report import ReloadReport
from firefly_core.testing import InProcessCluster

__all__ = ["GAME", "CodeLab", "code_lab"]

TOML = """\
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = {{ url = "tcp://127.0.0.1:11009", protocol = "json" }}
rate = "off"
connect_rate = "off"
login_timeout = 3600.0
[servers.gate.root]
listen = "tcp://127.0.0.1:10000"
[servers.world]
handlers = ["{game}.world"]
{more}
[servers.world.node]
roots = ["gate"]
"""
GAME = {
    "__init__": "",
    "rules": "SCORE = 1\n",
    "messages": "import attrs\n\n\n@attrs.frozen\nclass Ask:\n    by: int = 0\n",
    "world": """\
from __future__ import annotations

from firefly_core import command, every, on_start, remote
from GAME import rules
from GAME.messages import Ask


class State:
    def __init__(self):
        self.ticks = 0


@on_start
def start(ctx) -> State:
    return State()


@command(1, public=True)
def score(ctx, request: Ask) -> int:
    return rules.SCORE + request.by


@remote("world.score")
def told(ctx, by: int) -> int:
    return rules.SCORE + by


@every(0.02)
def tick(ctx):
    ctx.state.ticks += rules.SCORE
""",
}
NUMBERS = itertools.count(1)


class CodeLab:
    """The game's package has a name that no other of this process has; `GAME` in a source stands for it."""

    def __init__(self, folder: Path, more: str = "", **sources: str) -> None:
        self.folder = folder
        self.game = f"game{next(NUMBERS)}"
        (folder / self.game).mkdir()
        for name, text in {**GAME, **sources}.items():
            self.write(name, text)
        file = folder / "firefly.toml"
        file.write_text(TOML.format(game=self.game, more=more.replace("GAME", self.game)))
        self.cluster = InProcessCluster(file)
        self.answers = 0
        self.failures: list[str] = []
        self._players: list[gevent.Greenlet[..., Any]] = []

    @property
    def world(self) -> Any:
        """The kernel whose code is made anew."""
        return self.cluster.kernel("world")

    def path(self, name: str) -> Path:
        """Give the file of a module."""
        return self.folder / self.game / f"{name}.py"

    def write(self, name: str, text: str | bytes) -> None:
        """Write a module's source."""
        if isinstance(text, bytes):
            self.path(name).write_bytes(text)
        else:
            self.path(name).write_text(text.replace("GAME", self.game))

    def restore(self) -> None:
        """Give every module its first source again, and no module beside them."""
        for path in (self.folder / self.game).glob("*.py"):
            if path.stem not in GAME:
                path.unlink()
        for name, text in GAME.items():
            self.write(name, text)

    def start(self) -> None:
        """Start the gate and the node."""
        self.cluster.start()

    def reload(self, **how: bool) -> ReloadReport:
        """Have the node make its code anew."""
        report: ReloadReport = self.world.code.reload(**how)
        return report

    def ask(self, by: int = 0) -> int:
        """Call the remote from the gate's server, over the channel."""
        answer: int = self.cluster.call("world.score", by, by="gate")
        return answer

    # ---------------------------------------------------------------------------------------------------- players

    def play(self, players: int, pause: float) -> None:
        """Let players send commands and the gate call the remote, each again `pause` seconds after its answer."""
        for number in range(players):
            self._players.append(gevent.spawn(self._play, number, pause))
        self._players.append(gevent.spawn(self._call, pause))

    def leave(self) -> None:
        """Let the players go."""
        gevent.killall(self._players)
        self._players.clear()

    def _play(self, number: int, pause: float) -> None:
        client = self.cluster.connect()
        while True:
            self._once(lambda: client.request("score", {"by": number}) - number)
            gevent.sleep(pause)

    def _call(self, pause: float) -> None:
        while True:
            self._once(self.ask)
            gevent.sleep(pause)

    def _once(self, ask: Any) -> None:
        try:
            answer = ask()
        except Exception as error:
            self.failures.append(repr(error))
            return
        self.answers += 1
        if not isinstance(answer, int) or answer < 1:
            self.failures.append(f"answered {answer!r}")

    # ----------------------------------------------------------------------------------------------------- looking

    def snapshot(self) -> dict[str, Any]:
        """Give everything that a failed reload must leave as it is, to be compared by ==."""
        kernel = self.world
        for handler in kernel.handlers:
            kernel.callable(handler)  # otherwise made at the first run
        modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == self.game}
        return {
            "modules": {name: id(module) for name, module in modules.items()},
            "contents": {name: {key: id(value) for key, value in vars(m).items()} for name, m in modules.items()},
            "table": id(kernel.handlers),
            "handlers": [id(handler) for handler in kernel.handlers],
            "callables": {id(key): id(value) for key, value in kernel._callables.items()},
            "timers": {key: id(timer._handler) for key, timer in kernel.timers._timers.items()},
            "state": id(kernel.state),
            "version": kernel.code.version,
            "finders": list(map(id, sys.meta_path)),
            "path": list(sys.path),
        }

    def close(self) -> None:
        """End it, and forget its modules."""
        self.leave()
        self.cluster.close()
        for name in [name for name in sys.modules if name.partition(".")[0] == self.game]:
            del sys.modules[name]


@contextmanager
def code_lab(more: str = "", **sources: str) -> Iterator[CodeLab]:
    """Give a lab that runs, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        lab = CodeLab(Path(folder), more, **sources)
        try:
            lab.start()
            yield lab
        finally:
            lab.close()
