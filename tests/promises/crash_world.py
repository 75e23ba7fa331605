"""A small economy whose every acknowledged step is written down outside of the db-cache, so that nothing can hide.

Counters: each belongs to one greenlet, which counts it up and notes every acknowledged value. After a crash a counter
must have the noted value, or the one after it (that step was under way). A mark comes and goes: created, deleted,
created again. Trades: gold against an item between two heroes in one unit; the gold's sum and the items never change.
"""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path
from typing import Any

import gevent

from firefly_core.errors import Conflict, NotFound, StorageError
from tests.promises.models import Account, Hero, Item

COUNTERS = 12
HEROES = 6
ITEMS = 12
GOLD = 1000
MARK = "mark"


class Notes:
    """The file of acknowledged steps; each line is one write(2), which a kill of the process cannot take back."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.acknowledged: dict[str, int] = {}
        self.count = 0
        for line in path.read_text().splitlines():
            name, value = line.split()
            self.acknowledged[name] = int(value)
            self.count += 1

    def note(self, name: str, value: int) -> None:
        """Write down that a step was acknowledged."""
        os.write(self._descriptor, f"{name} {value}\n".encode())
        self.acknowledged[name] = value
        self.count += 1


class CrashWorld:
    """One life of the economy, from a start of the owner to its kill."""

    def __init__(self, db: Any, notes: Notes, counter: Any, seed: int) -> None:
        self._db = db
        self._notes = notes
        self._counter = counter
        self._random = random.Random(seed)

    # ------------------------------------------------------------------------------------------------------ checking

    def check(self) -> list[str]:
        """Give everything that is not as it was acknowledged; adopts the steps that were under way."""
        if "built" not in self._notes.acknowledged:
            return []
        return [*self._check_counters(), *self._check_mark(), *self._check_trades()]

    def _key(self, number: int) -> Any:
        return f"counter{number}" if self._counter is Account else number

    def _value(self, row: Any) -> int:
        return int(row.coins if self._counter is Account else row.gold)

    def _check_counters(self) -> list[str]:
        wrong = []
        for number in range(1, COUNTERS + 1):
            noted = self._notes.acknowledged.get(f"c{number}", 0)
            try:
                found = self._value(self._db.get(self._counter, self._key(number)))
            except NotFound:
                wrong.append(f"counter {number} is lost, it was {noted}")
                continue
            if found not in (noted, noted + 1):
                wrong.append(f"counter {number} is {found}, acknowledged was {noted}")
            if found != noted:
                self._notes.note(f"c{number}", found)
        return wrong

    def _check_mark(self) -> list[str]:
        """A mark that was noted with n > 0 was there and may have been deleted; with -n it was not, n + 1 may be."""
        noted = self._notes.acknowledged.get(MARK, 0)
        found = self._db.many(Account, [MARK])
        there = found[0].coins if found else 0
        if there not in ((noted, 0) if noted > 0 else (0, 1 - noted)):
            return [f"the mark is {there}, acknowledged was {noted}"]
        if there != max(noted, 0):
            self._notes.note(MARK, there or -noted)
        return []

    def _check_trades(self) -> list[str]:
        heroes = self._db.many(Hero, range(COUNTERS + 1, COUNTERS + HEROES + 1))
        items = self._db.many(Item, range(1, ITEMS + 1))
        wrong = []
        if sum(hero.gold for hero in heroes) != GOLD * HEROES:
            wrong.append(f"the gold is {[hero.gold for hero in heroes]}")
        if len(items) != ITEMS:
            wrong.append(f"there are {len(items)} items")
        listed = sorted(item.id for hero in heroes for item in self._db.where(Item, hero=hero.id))
        if listed != list(range(1, ITEMS + 1)):
            wrong.append(f"the lists of items have {listed}")
        return wrong

    # ------------------------------------------------------------------------------------------------------- living

    def build(self) -> None:
        """Make the rows, once."""
        if "built" in self._notes.acknowledged:
            return
        for number in range(1, COUNTERS + 1):
            if self._counter is Account:
                self._make(Account, login=self._key(number))
            else:
                self._make(self._counter, id=number, name="counter")
        for number in range(COUNTERS + 1, COUNTERS + HEROES + 1):
            self._make(Hero, id=number, name="trader", gold=GOLD)
        for number in range(1, ITEMS + 1):
            self._make(Item, id=number, hero=COUNTERS + 1 + number % HEROES)
        self._notes.note("built", 1)

    def _make(self, model: Any, **fields: Any) -> None:
        with contextlib.suppress(Conflict):  # an earlier life got as far
            self._db.create(model, **fields)

    def live(self) -> None:
        """Go on until the process is killed."""
        works = [lambda n=number: self._count(n) for number in range(1, COUNTERS + 1)]
        works += [self._trade, self._trade, self._come_and_go]
        gevent.joinall([gevent.spawn(self._for_ever, work) for work in works])

    def _for_ever(self, work: Any) -> None:
        while True:
            try:
                work()
            except (StorageError, Conflict):
                gevent.sleep(0.001)
            gevent.sleep(0)

    def _count(self, number: int) -> None:
        row = self._db.get(self._counter, self._key(number))
        if self._counter is Account:
            row.coins += 1
        else:
            row.gold += 1
        self._db.save(row)
        self._notes.note(f"c{number}", self._value(row))

    def _come_and_go(self) -> None:
        noted = self._notes.acknowledged.get(MARK, 0)
        if noted > 0:
            self._db.delete(self._db.get(Account, MARK))
            self._notes.note(MARK, -noted)
        else:
            self._db.create(Account, login=MARK, coins=1 - noted)
            self._notes.note(MARK, 1 - noted)

    def _trade(self) -> None:
        seller, buyer = self._random.sample(range(COUNTERS + 1, COUNTERS + HEROES + 1), 2)
        price = self._random.randint(1, 20)

        def work(unit: Any) -> None:
            stock = self._db.where(Item, hero=seller)
            if not stock:
                return
            item = unit.get(Item, self._random.choice(stock).id)
            if item.hero != seller:
                return
            item.hero = buyer
            unit.save(item)
            unit.add(Hero, seller, gold=price)
            unit.add(Hero, buyer, gold=-price)

        self._db.transact(work)
