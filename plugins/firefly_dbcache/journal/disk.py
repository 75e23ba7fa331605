"""What the journal asks of the operating system, in one place, so that a test can hand in a disk that fails."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Disk"]


class Disk:
    """The real disk. Every method raises OSError as the operating system does."""

    def create(self, path: Path) -> int:
        """Open a new file for appending; gives its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        """Open a file, made when it is missing, for writing anywhere in it."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes) -> int:
        """Write what the disk takes; gives the number of bytes, which may be less than all."""
        return os.write(descriptor, data)

    def write_at(self, descriptor: int, data: bytes, offset: int) -> int:
        """Write at a place; gives the number of bytes."""
        return os.pwrite(descriptor, data, offset)

    def sync(self, descriptors: Iterable[int]) -> None:
        """Wait until the data of these files is on disk; blocks this thread."""
        for descriptor in descriptors:
            os.fdatasync(descriptor)

    def sync_file(self, path: Path) -> None:
        """Wait until the data of a file is on disk; blocks this thread. A missing one is fine."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            self.sync([descriptor])
        finally:
            os.close(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in a folder are on disk; blocks this thread."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file."""
        os.ftruncate(descriptor, size)

    def reserve(self, path: Path, size: int) -> None:
        """Make a file that really takes `size` bytes, or none at all."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, at once."""
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        """Remove a file; a missing one is fine."""
        path.unlink(missing_ok=True)

    def write_whole(self, path: Path, data: bytes) -> None:
        """Write a file so that after a crash it is there whole, or as it was before; blocks this thread."""
        draft = path.with_name(path.name + ".new")
        self.remove(draft)
        descriptor = self.create(draft)
        try:
            view = memoryview(data)
            while view:
                view = view[self.write(descriptor, bytes(view)) :]
            self.sync([descriptor])
        finally:
            self.close(descriptor)
        self.rename(draft, path)
        self.sync_folder(path.parent)
