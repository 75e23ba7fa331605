"""LogFolder: a file of lines for each process, turned over by size; what was written is never cut off.

`world-1.log` is the newest, `world-1.log.1` the one before, and so on. Lines that a full disk does not take are dropped
and counted; as soon as there is room, writing goes on, on a line of its own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.supervisor.log_writer import QUEUE, LogWriter
from firefly_core.kernel.supervisor.plan import Plan

__all__ = ["LogFolder", "check", "problem_of"]

MODE = 0o640


def check(plan: Plan) -> None:
    """Make the folder of a plan, where it has one; raises ConfigurationError when nothing can be written into it."""
    if problem := problem_of(plan):
        raise ConfigurationError([problem])


def problem_of(plan: Plan) -> str:
    """Say why nothing can be written into a plan's folder; empty: it can, or there is none. Makes the folder."""
    if plan.log_folder is None:
        return ""
    folder = Path(plan.log_folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"firefly.log_folder: {folder} cannot be made: {error.strerror or error}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"firefly.log_folder: {folder} cannot be written"
    return ""


class LogFolder(LogWriter):
    """Writes into `folder`; a file of `size` bytes is set aside, and `files` such are kept for each process."""

    def __init__(self, folder: Path, *, size: int, files: int, limit: int = QUEUE) -> None:
        self.folder = folder
        self.size = size
        self.files = files
        self._open: dict[str, _File] = {}
        self._reopen = False
        super().__init__(-1, limit=limit)

    def reopen(self) -> None:
        """Open every file anew before the next line: somebody has moved them away."""
        self._reopen = True

    def put(self, batch: Sequence[tuple[str, bytes]]) -> list[tuple[str, int]]:
        """Write whole lines, each to the file of its source; gives how many lines of which source were lost."""
        if self._reopen:
            self._reopen = False
            for file in self._open.values():
                file.close()
        lost = []
        for source, text in batch:
            if source not in self._open:
                self._open[source] = _File(self.folder / f"{source}.log", self.size, self.files)
            target = self._open[source]
            try:
                target.write(text)
            except OSError as error:
                self.trouble = f"{target.path}: {error.strerror or error}"
                lost.append((source, text.count(b"\n")))
        return lost

    def ended(self) -> None:
        """Close every file."""
        for file in self._open.values():
            file.close()


class _File:
    """One file and those that were set aside."""

    def __init__(self, path: Path, size: int, files: int) -> None:
        self.path = path
        self._size = size
        self._files = files
        self._descriptor: int | None = None
        self._written = 0
        self._torn = False
        """Whether the last line is not whole."""

    def write(self, text: bytes) -> None:
        """Append whole lines; raises OSError when they are not written, or not all."""
        if self._descriptor is not None and self._written + len(text) > self._size and self._written:
            self._set_aside()
        descriptor = self._descriptor if self._descriptor is not None else self._begin()
        rest = memoryview(b"\n" + text if self._torn else text)
        while rest:
            count = os.write(descriptor, rest)
            self._written += count
            self._torn = rest[count - 1] != 0x0A
            rest = rest[count:]

    def close(self) -> None:
        """Close it; the next line opens it anew."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _begin(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = self._descriptor = os.open(self.path, flags, MODE)
        self._written = os.fstat(descriptor).st_size
        # A power failure, or a disk that was full, may have left half a line.
        self._torn = self._written > 0 and os.pread(descriptor, 1, self._written - 1) != b"\n"
        return descriptor

    def _set_aside(self) -> None:
        """Turn the files over; where that fails, the newest one grows on."""
        with contextlib.suppress(OSError):
            for number in range(self._files - 1, 0, -1):
                older = self._numbered(number)
                if older.exists():
                    older.replace(self._numbered(number + 1))
            self.path.replace(self._numbered(1))
            self.close()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
