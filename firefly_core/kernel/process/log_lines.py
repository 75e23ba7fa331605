"""How a server's log lines look, and the handler that writes them without ever waiting for whoever reads them.

Text: `time=... level=info server=world-1 event="..." session=7 uid=ada command=catch trace=...`; a traceback follows on
lines of its own. JSON: one object a line, the traceback in it.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import re
from collections.abc import Iterator
from typing import Any

from gevent.monkey import get_original

__all__ = ["JsonLines", "LogHandler", "TextLines", "start_logging"]

VALUE = 1024
"""Longer values are cut, in characters."""
ATOMIC = 4096
"""A pipe that can be written takes so many bytes at least without waiting, and does not mix them with another's."""
PLAIN = re.compile(r"[^\s\"=]+")


def _fields(record: logging.LogRecord, server: str) -> Iterator[tuple[str, str]]:
    moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    yield "time", moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    yield "level", record.levelname.lower()
    yield "server", server
    yield "event", _cut(record.getMessage())
    for name, value in getattr(record, "firefly", {}).items():
        yield name, _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= VALUE else f"{text[:VALUE]}..."


def _quoted(value: str) -> str:
    """Give the value as it is, or as a JSON text whose every character can be seen."""
    if value.isprintable() and PLAIN.fullmatch(value):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return quoted if quoted.isprintable() else json.dumps(value).replace("\x7f", "\\u007f")


class TextLines(logging.Formatter):
    """Formats a record as `key=value` pairs; values with blanks or control characters are quoted as in JSON."""

    def __init__(self, server: str) -> None:
        super().__init__()
        self._server = server

    def format(self, record: logging.LogRecord) -> str:
        line = " ".join(f"{name}={_quoted(value)}" for name, value in _fields(record, self._server))
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object on one line."""

    def __init__(self, server: str) -> None:
        super().__init__()
        self._server = server

    def format(self, record: logging.LogRecord) -> str:
        values = dict(_fields(record, self._server))
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values)


class LogHandler(logging.Handler):
    """Writes lines to a descriptor; what it does not take at once is dropped, and the number said later."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._poll = get_original("select", "poll")()
        self._poll.register(descriptor, 4)  # POLLOUT
        self.dropped = 0
        """Lines dropped since the last line that was written."""

    def createLock(self) -> None:
        """Do without: a line is one write, and the hub must not wait for a thread."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            data = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        except Exception:
            self.handleError(record)
            return
        if self.dropped:
            data = b"%d log lines were dropped here\n" % self.dropped + data
        if self._write(data):
            self.dropped = 0
        else:
            self.dropped += 1

    def _write(self, data: bytes) -> bool:
        try:
            while data:
                if not self._poll.poll(0):
                    return False
                written = os.write(self._descriptor, data[:ATOMIC])
                data = data[written:]
        except OSError:
            return False
        return True


def start_logging(server: str, *, json_lines: bool, level: str, descriptor: int = 2) -> None:
    """Send this process's log to `descriptor`, in place of whatever handlers the root logger had."""
    handler = LogHandler(descriptor)
    handler.setFormatter(JsonLines(server) if json_lines else TextLines(server))
    root: Any = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
