"""How often each process was started, ever: the epoch by which peers tell a new process from the one it replaces."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

__all__ = ["Epochs"]


class Epochs:
    """One small file a process name, replaced as a whole, so that a crash leaves the old count or the new one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, int] = {}

    def count(self, name: str) -> int:
        """Give the next epoch of `name`: greater than every one before. Raises OSError when it cannot be kept."""
        path = self._folder / name
        epoch = max(self._read(path), self._known.get(name, 0)) + 1
        self._known[name] = epoch
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{name}.{os.getpid()}")
        try:
            with draft.open("w", encoding="ascii") as file:
                file.write(f"{epoch}\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        return epoch

    def last(self, name: str) -> int:
        """Give the epoch that `count` gave last, 0 when there was none."""
        return self._known.get(name, 0)

    @staticmethod
    def _read(path: Path) -> int:
        try:
            text = path.read_text(encoding="ascii")
        except FileNotFoundError:
            return 0
        except (OSError, UnicodeDecodeError):
            text = ""
        with contextlib.suppress(ValueError):
            if (epoch := int(text[:20])) >= 0:
                return epoch
        # A file that cannot be read must not send the epoch backwards: the seconds since 1970 lie above every count.
        return int(time.time())
