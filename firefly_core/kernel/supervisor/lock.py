"""One supervisor a configuration: a lock that ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from firefly_core.errors import ConfigurationError

__all__ = ["ConfigurationLock", "wait_free"]


class ConfigurationLock:
    """An exclusive lock on a file that says who holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock at once; raises ConfigurationError that names the holder's pid."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigurationError([f"{self.path}: cannot be written: {error.strerror}"]) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._holder(descriptor)
            os.close(descriptor)
            problem = f"{self.path}: this configuration runs already, under the firefly-run with pid {holder}"
            raise ConfigurationError([problem]) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self._descriptor = descriptor

    @staticmethod
    def _holder(descriptor: int) -> str:
        # Whoever has just taken the lock writes his pid a moment later.
        for _ in range(20):
            if text := os.pread(descriptor, 20, 0).decode("ascii", "replace").strip():
                return text
            time.sleep(0.01)
        return "unknown"

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def wait_free(path: Path) -> None:
    """Wait until nobody holds the lock at `path`; one that was never taken is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
