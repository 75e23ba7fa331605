"""The supervisor's end of the pipe between it and one server, or one program: JSON objects, one a line, both ways.

A server is told first of all, in one line, what it is; it inherits the descriptors that are named there:
    {"do": "begin", "epoch": 3, "secret": "<hex>" or null, "source": "<firefly.toml>", "listeners": {"<url>": 7}}
and later, whenever somebody wants it:
    {"do": "reload", "number": 4, "dry_run": false, "force": false}    make the code anew, or only try whether it could
A server says, whenever it is so:
    {"say": "ready", "code": {...}}            everything it offers can be used; `code` is the version that runs
    {"say": "draining"}                        it takes nothing new
    {"say": "cut", "dropped": 3}               the time to drain is over: so much that it had accepted is dropped
    {"say": "reloaded", "number": 4, "report": {...}, "code": {...}}
`code` is {"hash": "1f0c2a...", "since": 1764000000.0, "reloads": 2}, a report as `kernel/reload/reload_report.py`
has it.

A server asks by this pipe, and a program (`firefly-run reload`) by the socket `firefly.sock` in the folder `var`, which
only the same user may open. Both are answered with the same number, by a result or by an error:
    {"ask": 1, "what": "status"}                         {"answer": 1, "result": {"supervisor": {...}, "processes": []}}
    {"ask": 2, "what": "restart", "name": "moon-1"}      {"answer": 2, "error": "there is no process or server moon-1"}
`name` is a process (`world-1`) or a server (`world`: all its processes, one after another). What can be asked:
    status                              how everything is
    reload [name] [dry_run] [force]     the code of those servers; without a name the configuration too, then of all.
                                        Answered when it is done: {"taken": false, "problems": ["..."],
                                        "processes": {"world-1": report}}. What has problems anywhere changes nothing
    restart name [force]                let it finish, end it, start it, also one that was given up or stopped; refused
                                        when it could not start as everything is on disk now, unless by `force`
    drain name [seconds]                route around it, let it finish what it has, end it; it stays away until it is
                                        restarted, over reloads too
    stop [name] [now]                   the same; without a name everything, and `firefly-run` ends. `now`: at once
`restart`, `drain` and `stop` are answered {"accepted": true} at once, or with "wait": true when it is done.

When the pipe ends at the supervisor's side, the server ends; there is no other sign of a supervisor that was killed.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

from firefly_core.kernel.supervisor.loop import Loop

__all__ = ["LONGEST_LINE", "ControlPipe"]

LONGEST_LINE = 64 * 1024
UNSENT = 4 * 1024 * 1024


class ControlPipe:
    """Reads a server's lines and writes to it without ever waiting; `on_end` is called once, when the pipe ends."""

    def __init__(
        self,
        loop: Loop,
        pipe: socket.socket,
        on_message: Callable[[dict[str, Any]], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._pipe = pipe
        self._on_message = on_message
        self._on_end = on_end
        self._unread = b""
        self._unsent = b""
        self.open = True
        pipe.setblocking(False)
        loop.watch(pipe.fileno(), self._read)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message, now or as soon as there is room; a server that lets 4 MiB pile up loses the pipe."""
        if not self.open:
            return
        self._unsent += json.dumps(message).encode() + b"\n"
        if len(self._unsent) > UNSENT:
            self._end()
        else:
            self._write()

    def close(self) -> None:
        """Close the pipe without telling `on_end`."""
        if self.open:
            self.open = False
            self._loop.forget(self._pipe.fileno())
            self._pipe.close()

    def _end(self) -> None:
        if self.open:
            self.close()
            self._on_end()

    def _write(self) -> None:
        try:
            self._unsent = self._unsent[self._pipe.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._end()
            return
        self._loop.watch(self._pipe.fileno(), self._read, self._write if self._unsent else None)

    def _read(self) -> None:
        try:
            data = self._pipe.recv(LONGEST_LINE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._take(line)
        if not data or len(self._unread) > LONGEST_LINE:
            self._end()

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._end()
        elif self.open:
            self._on_message(message)
