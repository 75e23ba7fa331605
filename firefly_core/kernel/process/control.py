"""A server's end of the control pipe; what goes through it is written in `kernel/supervisor/control_pipe.py`."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import gevent
from gevent.event import AsyncResult, Event

from firefly_core.errors import Overloaded, RemoteError, Unavailable
from firefly_core.kernel.process.parent import die_with

__all__ = ["Begin", "Control", "inherit"]

VARIABLE = "FIREFLY_CONTROL"
LINE = 8 * 1024 * 1024
CHUNK = 64 * 1024
QUESTIONS = 64


@attrs.frozen(kw_only=True)
class Begin:
    """What the supervisor tells a server first."""

    epoch: int
    secret: bytes | None = attrs.field(repr=False)
    source: str = attrs.field(repr=False)
    """The text of firefly.toml that is in force, which may differ from what the file says by now."""
    listeners: Mapping[str, int]
    """Descriptors of listening sockets by URL."""


class Control:
    """The pipe to the supervisor, for as long as both live."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._unread = b""
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._waiting: dict[int, AsyncResult[dict[str, Any]]] = {}
        self._asked = 0
        self.on_order: Callable[[dict[str, Any]], None] = lambda _order: None
        """Called with what the supervisor wants of this server later on; must not block."""
        self.ended = Event()
        """Set when the supervisor is gone."""

    def read_begin(self) -> Begin:
        """Wait for the first line; raises Unavailable when the supervisor has died before it was sent."""
        line = self._read_line()
        if line is None:
            raise Unavailable("the supervisor is gone")
        message = json.loads(line)
        secret = message["secret"]
        return Begin(
            epoch=message["epoch"],
            secret=None if secret is None else bytes.fromhex(secret),
            source=message["source"],
            listeners=message["listeners"],
        )

    def start(self) -> None:
        """Read answers from now on, in a greenlet of its own that ends with the pipe."""
        self._greenlet = gevent.spawn(self._run)

    def say(self, what: str, **values: Any) -> None:
        """Tell the supervisor something of `ready`, `draining`, `cut` and `reloaded`; without one nothing happens."""
        self._send({"say": what, **values})

    def ask(self, what: str, *, timeout: float = 5.0, **values: Any) -> Any:
        """Ask the supervisor and wait for the answer; `kernel/supervisor/control_pipe.py` has the questions.

        Raises RemoteError with the supervisor's reason, Unavailable when it is gone or does not answer in time, and
        Overloaded with 64 questions open.
        """
        if len(self._waiting) >= QUESTIONS:
            raise Overloaded("too many questions to the supervisor")
        self._asked += 1
        number = self._asked
        waiting = self._waiting[number] = AsyncResult()
        try:
            self._send({"ask": number, "what": what, **values})
            answer: dict[str, Any] = waiting.get(timeout=timeout)  # type: ignore[assignment]
        except gevent.Timeout:
            raise Unavailable("the supervisor does not answer") from None
        finally:
            self._waiting.pop(number, None)
        if "error" in answer:
            raise RemoteError("refused", answer["error"])
        return answer.get("result")

    def close(self) -> None:
        """Close this end."""
        if self._greenlet is not None:
            self._greenlet.kill()
        self._end()
        self._pipe.close()

    def _send(self, message: dict[str, Any]) -> None:
        if self.ended.is_set():
            return
        try:
            self._pipe.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._end()

    def _read_line(self) -> bytes | None:
        """Wait for a line; None at the end of the pipe, and when the line is longer than anything that is ever sent."""
        while b"\n" not in self._unread:
            data = self._pipe.recv(CHUNK)
            if not data or len(self._unread) > LINE:
                return None
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _run(self) -> None:
        try:
            while (line := self._read_line()) is not None:
                message = json.loads(line)
                if "do" in message:
                    self.on_order(message)
                    continue
                waiting = self._waiting.get(message.get("answer"))
                if waiting is not None:
                    waiting.set(message)
        except (OSError, ValueError):
            pass
        self._end()

    def _end(self) -> None:
        self.ended.set()
        for waiting in self._waiting.values():
            waiting.set_exception(Unavailable("the supervisor is gone"))


def inherit() -> Control | None:
    """Give the control pipe of a process that a supervisor has started, None in the foreground.

    From then on Linux kills this process when its supervisor dies; one that has died already ends it here.
    """
    value = os.environ.pop(VARIABLE, None)
    if value is None:
        return None
    descriptor, parent = map(int, value.split())
    os.set_inheritable(descriptor, False)
    # Where Linux cannot do that, the end of the pipe is noticed all the same.
    die_with(parent)
    return Control(socket.socket(fileno=descriptor))
