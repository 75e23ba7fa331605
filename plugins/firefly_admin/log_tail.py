"""LogTail: the last lines of one server's log, kept in memory for whoever looks."""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Collection
from typing import Any

import attrs

__all__ = ["LogTail"]

KEPT = 1000
VALUE = 1024
"""Longer texts are cut, in characters."""
TRACEBACK = 8192
MOST = 500
"""Lines in one answer."""


@attrs.frozen
class Line:
    """One record of the log, as plain values."""

    number: int
    time: float
    level: str
    weight: int
    logger: str
    event: str
    fields: dict[str, str]
    traceback: str

    def has(self, text: str) -> bool:
        """Whether a text in lower case is anywhere in the line."""
        return any(text in each.lower() for each in (self.event, self.logger, self.traceback, *self.fields.values()))


class LogTail(logging.Handler):
    """Keeps the newest lines; `others` are the names of processes whose lines are not this server's."""

    def __init__(self, others: Collection[str]) -> None:
        super().__init__()
        self._others = frozenset(others)
        self._lines: deque[Line] = deque(maxlen=KEPT)
        self._number = 0
        self.counts = {"warning": 0, "error": 0}

    def createLock(self) -> None:
        """Do without: appending to a deque is one step, and the hub must not wait."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        parts = record.name.split(".", 2)
        # Two servers in one process share the loggers; each keeps its own lines and those of nobody's.
        if len(parts) > 1 and parts[0] == "firefly" and parts[1] in self._others:
            return
        try:
            line = self._line(record)
        except Exception:
            self.handleError(record)
            return
        self._lines.append(line)
        if record.levelno >= logging.WARNING:
            self.counts["error" if record.levelno >= logging.ERROR else "warning"] += 1

    def lines(self, after: int = 0, level: str = "debug", text: str = "", limit: int = 200) -> dict[str, Any]:
        """Give the newest lines behind line `after`, of at least `level`, with `text` in them, oldest first."""
        least = logging.getLevelNamesMapping().get(level.upper(), 0)
        wanted = text.lower()
        found = [
            attrs.asdict(line)
            for line in list(self._lines)
            if line.number > after and line.weight >= least and (not wanted or line.has(wanted))
        ]
        return {"last": self._number, "lines": found[-max(1, min(limit, MOST)) :]}

    def _line(self, record: logging.LogRecord) -> Line:
        self._number += 1
        told = ""
        if record.exc_info:
            told = "".join(traceback.format_exception(*record.exc_info))[-TRACEBACK:]
        return Line(
            number=self._number,
            time=record.created,
            level=record.levelname.lower(),
            weight=record.levelno,
            logger=record.name,
            event=record.getMessage()[:VALUE],
            fields={name: str(value)[:VALUE] for name, value in getattr(record, "firefly", {}).items()},
            traceback=told,
        )
