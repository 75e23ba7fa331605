"""Watched: which of a game's sources have changed, found by looking at them again and again; for development."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Watched"]

MOST = 10_000
"""Files that are looked at; beyond them a game needs another way."""
SKIPPED = frozenset(("var", "node_modules", "__pycache__", "build", "dist"))
SUFFIXES = (".py", ".toml")
Stamp = tuple[int, int, int]


class Watched:
    """The Python and TOML files below a folder; what is hidden, made or installed there is left out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._look()

    def wait(self, interval: float) -> list[str]:
        """Wait until something has changed and been quiet for one look; give the paths, relative to the folder."""
        while True:
            time.sleep(interval)
            now = self._look()
            if now == self._seen:
                continue
            # An editor that saves, or a checkout of many files, takes a moment.
            while (settled := self._pause(interval)) != now:
                now = settled
            before, self._seen = self._seen, now
            return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))

    def _pause(self, interval: float) -> dict[str, Stamp]:
        time.sleep(interval / 2)
        return self._look()

    def _look(self) -> dict[str, Stamp]:
        found: dict[str, Stamp] = {}
        for path in self._files(self._folder):
            try:
                about = path.stat()
            except OSError:  # gone since
                continue
            found[str(path.relative_to(self._folder))] = (about.st_mtime_ns, about.st_size, about.st_ino)
            if len(found) >= MOST:
                break
        return found

    def _files(self, folder: Path) -> Iterator[Path]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            return
        inside = {entry.name for entry in entries}
        if "pyvenv.cfg" in inside:
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name in SKIPPED:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._files(Path(entry.path))
            elif entry.name.endswith(SUFFIXES):
                yield Path(entry.path)
