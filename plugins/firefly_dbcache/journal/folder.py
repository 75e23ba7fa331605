"""The journal's folder: its lock, its identity, its cursor, and whether the last owner stopped cleanly."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from zlib import crc32

import gevent
import msgspec

from firefly_core.errors import ConfigurationError
from firefly_dbcache.journal.disk import Disk

__all__ = ["Folder"]

SLOT = struct.Struct("<QQI")


class Folder:
    """A folder that one owner holds. Files: `lock`, `identity`, `cursor`, `clean`, `slack`, segments, and `dead/`."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.dead = path / "dead"
        self.slack = path / "slack"
        self._disk = disk
        self._lock = -1
        self._cursor = -1
        self._turn = 0

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock >= 0

    def acquire(self) -> None:
        """Make the folder, take its lock until `release` or the process ends; raises ConfigurationError."""
        try:
            self.dead.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = self._disk.open(self.path / "lock")
        except OSError as error:
            raise ConfigurationError([f"the journal's folder {self.path} cannot be used: {error.strerror}"]) from None
        for delay in (0.05, 0.1, 0.2, 0.4, 0.8, 0.0):  # a predecessor may just be ending, `db status` just be looking
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                gevent.sleep(delay)
        else:
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            self._disk.close(lock)
            raise ConfigurationError([f"the journal {self.path} is owned by process {holder}, which runs"])
        self._lock = lock
        self._disk.truncate(lock, 0)
        self._disk.write_at(lock, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back."""
        for descriptor in (self._cursor, self._lock):
            if descriptor >= 0:
                self._disk.close(descriptor)
        self._lock = self._cursor = -1

    def holder(self) -> int | None:
        """Give the process that holds the lock, as another process sees it; None when nobody does."""
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return int(os.pread(lock, 20, 0) or 0)
        else:
            return None
        finally:
            os.close(lock)

    def identity(self, fresh: str) -> str:
        """Give the journal's own name, which the database knows it by; a new folder is named `fresh`."""
        path = self.path / "identity"
        if not path.exists():
            self._disk.write_whole(path, fresh.encode())
        return path.read_text()

    # --------------------------------------------------------------------------------------------- the cursor

    def read_cursor(self) -> int:
        """Give the sequence up to which everything is in the database; 0 when nothing is known."""
        try:
            data = (self.path / "cursor").read_bytes()
        except OSError:
            return 0
        best = (0, 0)
        for start in range(0, len(data) - SLOT.size + 1, SLOT.size):
            turn, flushed, check = SLOT.unpack_from(data, start)
            if check == crc32(data[start : start + SLOT.size - 4]):
                best = max(best, (turn, flushed))
        self._turn = best[0]
        return best[1]

    def write_cursor(self, flushed: int) -> None:
        """Note that everything up to `flushed` is in the database. Two places by turns: a torn one leaves the other."""
        self._open_cursor()
        self._turn += 1
        slot = SLOT.pack(self._turn, flushed, 0)[:-4]
        self._disk.write_at(self._cursor, slot + struct.pack("<I", crc32(slot)), self._turn % 2 * SLOT.size)

    def sync_cursor(self) -> None:
        """Bring the cursor to the disk; blocks this thread. What lies behind it must not be removed before."""
        self._open_cursor()
        self._disk.sync([self._cursor])

    def _open_cursor(self) -> None:
        if self._cursor < 0:
            self._cursor = self._disk.open(self.path / "cursor")

    # ------------------------------------------------------------------------------------ the note of a clean stop

    def take_note(self) -> dict[str, str]:
        """Take what the last owner left when it stopped cleanly: the cache's generations. Empty otherwise."""
        path = self.path / "clean"
        try:
            note = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.MsgspecError):
            note = {}
        self._disk.remove(path)
        self._disk.sync_folder(self.path)
        return note

    def leave_note(self, generations: dict[str, str]) -> None:
        """Say that this owner stops cleanly, and which generations of the cache are to be trusted."""
        self._disk.write_whole(self.path / "clean", msgspec.json.encode(generations))
