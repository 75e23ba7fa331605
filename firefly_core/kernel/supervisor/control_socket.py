"""The socket by which programs of the same user ask a running supervisor; what they say is written in control_pipe.py.

It lies in the folder `var` as `NAME.sock`, beside the lock: whoever holds the lock owns the socket, and an older one of
that name belongs to nobody. The path of a Unix socket may have 107 bytes; a deeper folder is reached through /proc.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from firefly_core.kernel.supervisor.control_pipe import ControlPipe
from firefly_core.kernel.supervisor.loop import Loop

__all__ = ["ControlSocket", "Program", "connect", "socket_path"]

PROGRAMS = 32
BACKLOG = 16


class Program:
    """One program that is connected; it may ask as often as it likes."""

    name = None
    """It is no process of the supervisor's."""

    def __init__(self, loop: Loop, pipe: socket.socket, on_ask: Callable[[Program, dict[str, Any]], None]) -> None:
        self.open = True
        self._on_ask = on_ask
        self._pipe = ControlPipe(loop, pipe, self._heard, self._ended)

    def answer(self, number: object, **values: Any) -> None:
        """Answer the question `number`, if the program is still there."""
        self._pipe.send({"answer": number, **values})

    def close(self) -> None:
        """Let the program go."""
        self.open = False
        self._pipe.close()

    def _heard(self, message: dict[str, Any]) -> None:
        if "ask" in message:
            self._on_ask(self, message)

    def _ended(self) -> None:
        self.open = False


class ControlSocket:
    """Listens at `path`; each question of a program is given to `on_ask`. Raises OSError."""

    def __init__(self, loop: Loop, path: Path, on_ask: Callable[[Program, dict[str, Any]], None]) -> None:
        self._loop = loop
        self._path = path
        self._on_ask = on_ask
        self._programs: list[Program] = []
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # The socket has its mode from the first moment on, not from a chmod after it.
        mask = os.umask(0o177)
        try:
            with _short(path) as short:
                self._listener.bind(short)
            self._listener.listen(BACKLOG)
        except OSError:
            self._listener.close()
            raise
        finally:
            os.umask(mask)
        self._listener.setblocking(False)
        loop.watch(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Listen no more, and let every program go."""
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        with contextlib.suppress(OSError):
            self._path.unlink()
        for program in self._programs:
            program.close()

    def _accept(self) -> None:
        try:
            pipe, _ = self._listener.accept()
        except OSError:
            return
        self._programs = [program for program in self._programs if program.open]
        if len(self._programs) >= PROGRAMS:
            pipe.close()
            return
        self._programs.append(Program(self._loop, pipe, self._on_ask))


def socket_path(var: Path, configuration: Path) -> Path:
    """Give where the supervisor of a firefly.toml listens."""
    return var / f"{configuration.stem}.sock"


def connect(path: Path) -> socket.socket:
    """Connect to a supervisor's socket; raises OSError when there is none."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as short:
            made.connect(short)
    except BaseException:
        made.close()
        raise
    return made


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """Give a short name of a path, whatever its folder is called."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
