"""Changes that the database refused for good: one readable file each, until somebody retries or drops them.

The file stands before the change leaves the journal's care, so nothing acknowledged is lost; until then and afterwards
the owner answers reads with it.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from firefly_dbcache.journal.disk import Disk
from firefly_dbcache.rows.overlay import Change, Place
from firefly_dbcache.rows.table import Key, Row, Table

__all__ = ["DeadLetters", "Letter"]


@attrs.frozen
class Letter:
    """One refused change, as its file tells it."""

    name: str
    table: str
    key: Key
    ver: int
    columns: Mapping[str, Any] | None
    """Plain values by column; None: the row was deleted."""
    error: str
    time: float

    def row(self, table: Table) -> Row | None:
        """Give the row for a table; raises ValueError when the columns are not the table's."""
        if self.columns is None:
            return None
        if self.columns.keys() != set(table.names):
            raise ValueError(f"letter {self.name} has other columns than {table.name}")
        return tuple(self.columns[name] for name in table.names)


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _read(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


class DeadLetters:
    """The letters of one journal's folder, at most `limit`. Methods named `*_blocking` belong off the hub."""

    def __init__(self, folder: Path, disk: Disk, limit: int, log: logging.Logger) -> None:
        self.letters: dict[str, Letter] = {}
        self._places: dict[tuple[str, Key], set[str]] = {}
        self._folder = folder
        self._disk = disk
        self._limit = limit
        self._log = log

    @property
    def full(self) -> bool:
        """Whether no further letter may be written."""
        return len(self.letters) >= self._limit

    def load(self) -> None:
        """Read the folder. A file that is no letter is left alone and told in the log."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                letter = self._parse(path)
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._log.error("dead_letter_unreadable path=%s error=%s", path, error)
                continue
            self._note(letter)

    @staticmethod
    def _parse(path: Path) -> Letter:
        told = json.loads(path.read_text())
        columns = told["columns"]
        if columns is not None:
            columns = {name: _read(value) for name, value in columns.items()}
        return Letter(path.stem, told["table"], told["key"], told["ver"], columns, told["error"], told["time"])

    def _note(self, letter: Letter) -> None:
        self.letters[letter.name] = letter
        self._places.setdefault((letter.table, letter.key), set()).add(letter.name)

    def write_blocking(self, change: Change, error: str, time: float) -> Letter:
        """Write a letter; when this returns it is on disk. Raises OSError."""
        row = change.row
        columns = None if row is None else dict(zip(change.table.names, row, strict=True))
        name = f"{change.ver:016d}-{change.table.name}"
        letter = Letter(name, change.table.name, change.key, change.ver, columns, error[:4000], time)
        told = attrs.asdict(letter)
        del told["name"]
        if columns is not None:
            told["columns"] = {column: _plain(value) for column, value in columns.items()}
        self._disk.write_whole(self._folder / f"{name}.json", json.dumps(told, indent=1).encode())
        return letter

    def add(self, letter: Letter) -> None:
        """List a letter that was written."""
        self._note(letter)
        self._log.error(
            "dead_letter name=%s table=%s key=%r error=%s", letter.name, letter.table, letter.key, letter.error
        )

    def remove(self, name: str) -> None:
        """Remove a letter's file and forget it."""
        letter = self.letters.pop(name)
        names = self._places[letter.table, letter.key]
        names.discard(name)
        if not names:
            del self._places[letter.table, letter.key]
        self._disk.remove(self._folder / f"{name}.json")

    def flushed(self, changes: Iterable[Change]) -> Iterator[Place]:
        """The database has these: remove the letters that they supersede; gives the rows that had one."""
        if not self._places:
            return
        for change in changes:
            for name in list(self._places.get((change.table.name, change.key), ())):
                if self.letters[name].ver <= change.ver:
                    self.remove(name)
                    yield change.place
