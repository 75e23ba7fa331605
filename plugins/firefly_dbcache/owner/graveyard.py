"""The dead letters of a running owner: what they mean for reads, and what people ask for: try again, or give up.

`firefly-run db dead retry NAME` leaves a file in `dead/asked`, which the owner obeys within a second, or at its start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from firefly_dbcache.database.storage import Storage
from firefly_dbcache.owner.dead_letters import DeadLetters, Letter
from firefly_dbcache.owner.key_lists import KeyLists
from firefly_dbcache.owner.memory import Memory
from firefly_dbcache.rows.overlay import Change, Overlay
from firefly_dbcache.rows.table import VERSION, Table

__all__ = ["ASKED", "DROP", "RETRY", "Graveyard"]

ASKED = "asked"
RETRY = ".retry"
DROP = ".drop"


class Graveyard:
    """The letters beside the rows they are about."""

    def __init__(
        self,
        letters: DeadLetters,
        overlay: Overlay,
        memory: Memory,
        lists: KeyLists,
        storage: Storage,
        folder: Path,
        tables: dict[str, Table],
        next_sequence: Callable[[], int],
        log: logging.Logger,
    ) -> None:
        self._letters = letters
        self._overlay = overlay
        self._memory = memory
        self._lists = lists
        self._storage = storage
        self._asked = folder / ASKED
        self._tables = tables
        self._next_sequence = next_sequence
        self._log = log

    def load(self) -> None:
        """Read the letters; their rows answer reads again, unless the database has a newer state by now."""
        self._asked.mkdir(mode=0o700, exist_ok=True)
        self._letters.load()
        for letter in list(self._letters.letters.values()):
            change = self._change(letter)
            if change is None:
                continue
            row = self._storage.read(change.table, [change.key]).get(change.key)
            known = self._overlay.buried.get(change.place)
            if (row is None or row[VERSION] < letter.ver) and (known is None or known.ver < letter.ver):
                self._overlay.buried[change.place] = change

    def _change(self, letter: Letter) -> Change | None:
        table = self._tables.get(letter.table)
        try:
            return None if table is None else Change(table, letter.key, letter.row(table), letter.ver)
        except ValueError as error:
            self._log.error("dead_letter_unreadable name=%s error=%s", letter.name, error)
            return None

    def retry(self, name: str) -> None:
        """Give a refused change to the database again; raises KeyError for no letter's name.

        Its letter stays until the database has taken it, or a newer state of the row.
        """
        change = self._change(self._letters.letters[name])
        if change is None:
            return
        self._overlay.exhume(change.place)
        if self._overlay.find(*change.place) is None:
            sequence = self._next_sequence()
            self._overlay.put(change.table, change.key, change.row, change.ver, sequence, journaled=False)
        self._log.info("dead_letter_retried name=%s", name)

    def drop(self, name: str) -> None:
        """Give a refused change up: the database's state of the row holds. Raises KeyError for no letter's name."""
        letter = self._letters.letters[name]
        change = self._change(letter)
        self._letters.remove(name)
        self._log.warning("dead_letter_dropped name=%s", name)
        if change is not None and self._overlay.exhume(change.place) is not None:
            self._memory.forget(*change.place)
            self._lists.forget(change.table)

    def obey(self) -> None:
        """Do what was asked for by files since the last time."""
        for path in sorted(self._asked.iterdir()):
            path.unlink()
            work = {RETRY: self.retry, DROP: self.drop}.get(path.suffix)
            if work is not None and path.stem in self._letters.letters:
                work(path.stem)
