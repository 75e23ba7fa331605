"""What a connection could not send at once: bounded, in order, with a policy for each piece."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

__all__ = ["SendQueue"]

PIECE_COST = 128
"""Bytes that a waiting piece takes beside its own."""


class SendQueue:
    """Bytes waiting for the peer. A piece with a key may be replaced by a newer one as long as none of it was sent."""

    __slots__ = ("_cells", "_keyed", "size")

    def __init__(self, first: bytes) -> None:
        self._cells: deque[list[bytes]] = deque(([first],))
        self._keyed: dict[Hashable, list[bytes]] = {}
        self.size = len(first)
        """Bytes waiting."""

    def __len__(self) -> int:
        return len(self._cells)

    @property
    def weight(self) -> int:
        """Bytes of memory that it takes: many small pieces take more than their bytes."""
        return self.size + PIECE_COST * len(self._cells)

    def append(self, data: bytes, key: Hashable = None) -> bool:
        """Wait behind the others; with a `key`, in place of the unsent piece of that key. True: replaced."""
        if key is not None:
            cell = self._keyed.get(key)
            if cell is not None:
                self.size += len(data) - len(cell[0])
                cell[0] = data
                return True
            cell = self._keyed[key] = [data]
        else:
            cell = [data]
        self._cells.append(cell)
        self.size += len(data)
        return False

    def join(self, limit: int) -> bytes:
        """Give the next bytes to send, whole pieces up to about `limit`; they stay queued until `sent`."""
        pieces = []
        total = 0
        for cell in self._cells:
            pieces.append(cell[0])
            total += len(cell[0])
            if total >= limit:
                break
        return b"".join(pieces)

    def sent(self, count: int) -> None:
        """Forget the first `count` bytes, which the transport has taken."""
        self.size -= count
        cells = self._cells
        while count > 0:
            cell = cells[0]
            if self._keyed:
                self._forget(cell)
            if count < len(cell[0]):
                cell[0] = cell[0][count:]
                return
            count -= len(cell[0])
            cells.popleft()

    def _forget(self, cell: list[bytes]) -> None:
        """Make a piece that is being sent irreplaceable."""
        for key, keyed in self._keyed.items():
            if keyed is cell:
                del self._keyed[key]
                return
