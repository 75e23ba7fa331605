"""A disk that fails when told to."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from firefly_dbcache.journal.disk import Disk


class BadDisk(Disk):
    """The real disk, until `fail` names an operation; `room` is what is left on it, in bytes, or None."""

    def __init__(self) -> None:
        self.fail: dict[str, int] = {}
        """Operation to errno; the operation fails until it is removed."""
        self.room: int | None = None
        self.before_sync: Callable[[], None] = lambda: None
        self.calls: list[str] = []

    def _maybe(self, operation: str) -> None:
        self.calls.append(operation)
        if operation in self.fail:
            number = self.fail[operation]
            raise OSError(number, os.strerror(number))

    def create(self, path: Path) -> int:
        self._maybe("create")
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> int:
        self._maybe("write")
        if self.room is None:
            return super().write(descriptor, data)
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = data[: self.room]
        self.room -= len(part)
        return super().write(descriptor, part)

    def sync(self, descriptors: Iterable[int]) -> None:
        self.before_sync()
        self._maybe("sync")
        super().sync(descriptors)

    def truncate(self, descriptor: int, size: int) -> None:
        self._maybe("truncate")
        super().truncate(descriptor, size)

    def reserve(self, path: Path, size: int) -> None:
        self._maybe("reserve")
        if self.room is not None and self.room < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().reserve(path, size)
