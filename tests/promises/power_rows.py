"""Row A31p: power cuts. What was not synced is gone from the journal, what the database has committed is not."""

from __future__ import annotations

import itertools
import os
import random
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import gevent
from firefly_dbcache.journal.disk import Disk

from firefly_core.errors import FireflyError
from tests.promises import lab
from tests.promises.ledger import Outcome, Row
from tests.promises.models import Hero, Item

__all__ = ["ROWS"]

HEROES = range(1, 7)
TRADES = 7
"""The hero whose gold counts the trades."""
GOLD = 100
CUTS = 25
"""Power cuts in one folder, before a new one is taken."""
INTERVAL = 0.1


class Power(Disk):
    """The real disk, which knows what a power cut would leave of each file: its bytes at the last sync."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def sync(self, descriptors: Iterable[int]) -> None:
        descriptors = list(descriptors)
        names = [os.readlink(f"/proc/self/fd/{descriptor}") for descriptor in descriptors]
        found = {name: Path(name).read_bytes() for name in names if os.path.exists(name)}
        super().sync(descriptors)
        self._kept.update(found)

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        if str(source) in self._kept:
            self._kept[str(target)] = self._kept.pop(str(source))

    def cut(self, folder: Path) -> None:
        """Take everything back that was not synced; removed files stay removed, which is the worst."""
        for path in [*folder.glob("*.segment"), folder / "cursor"]:
            kept = self._kept.get(str(path))
            if kept is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(kept)


class Market:
    """Three players who trade all the time, from a start of the owner to the power cut."""

    def __init__(self, folder: Path, disk: Power, seed: int) -> None:
        self.acknowledged: list[float] = []
        """When each trade was acknowledged that this life has made."""
        self._folder = folder
        self._disk = disk
        self._random = random.Random(seed)
        keys = {"segment": 4096, "sync_interval": INTERVAL}
        self._owner = lab.make_owner(folder, [Hero, Item], parts={"disk": disk}, **keys)
        self._owner.start()
        gevent.sleep(0)
        self._db = lab.OwnedHandle(self._owner)

    def build(self) -> None:
        """Make the rows, once, and let them come to the disk."""
        for number in (*HEROES, TRADES):
            self._db.create(Hero, id=number, name="x", gold=0 if number == TRADES else GOLD)
        self._db.create(Item, hero=1)
        lab.wait_until(lambda: self._owner.sync.durable == self._owner.journal.last)

    def trades(self) -> int:
        """Give how many trades there were."""
        return int(self._db.get(Hero, TRADES).gold)

    def wrong(self) -> str | None:
        """Say what is not as trades leave it."""
        golds = [hero.gold for hero in self._db.many(Hero, HEROES)]
        if sum(golds) != GOLD * len(HEROES):
            return f"the gold is {golds}"
        owner = self._db.get(Item, 1).hero
        listed = [hero for hero in HEROES if self._db.where(Item, hero=hero)]
        return None if listed == [owner] else f"the item is listed for {listed}"

    def _trade(self) -> None:
        giver, taker = self._random.sample(HEROES, 2)

        def work(unit: Any) -> None:
            unit.add(Hero, giver, gold=-1)
            unit.add(Hero, taker, gold=1)
            unit.add(Hero, TRADES, gold=1)
            item = unit.get(Item, 1)
            item.hero = taker
            unit.save(item)

        self._db.transact(work)
        self.acknowledged.append(time.monotonic())

    def _play(self) -> None:
        while True:
            self._trade()
            gevent.sleep(0.001)

    def leave(self) -> None:
        """End, as a kill would."""
        lab.abandon(self._owner)

    def live(self, seconds: float, checkpoint: bool) -> None:
        """Trade, perhaps with a checkpoint in between, and be killed."""
        players = [gevent.spawn(self._play) for _ in range(3)]
        gevent.sleep(seconds)
        if checkpoint:
            self._owner.upkeep.checkpoint()
            gevent.sleep(seconds / 4)
        gevent.killall(players)
        self.leave()


@attrs.define
class Findings:
    """What came of some lives."""

    cuts: int = 0
    kills: int = 0
    trades: int = 0
    oldest: float = 0.0
    """How long before a power cut the oldest trade was acknowledged that it took back."""
    wrong: list[str] = attrs.field(factory=list)


def _lives(findings: Findings, most: int, generator: random.Random) -> None:
    """Let owners of one folder live, each ended by a kill or by a power cut, and look what the next one finds."""
    with tempfile.TemporaryDirectory() as name:
        folder, disk = Path(name), Power()
        known, ended, power = 0, 0.0, False
        acknowledged: list[float] = []
        for life in itertools.count():
            market = Market(folder, disk, generator.randrange(10**9))
            if life == 0:
                market.build()
            found, problem = market.trades(), market.wrong()
            lost = acknowledged[max(found - known, 0) :]
            findings.wrong += [problem] if problem else []
            if found < known or (lost and not power):
                findings.wrong.append(f"{found} trades of {known + len(acknowledged)}")
            if lost:
                findings.oldest = max(findings.oldest, ended - lost[0])
            if findings.wrong or findings.cuts == most:
                market.leave()
                return
            market.live(generator.uniform(0.05, 0.2), generator.random() < 0.5)
            known, acknowledged, ended = found, market.acknowledged, time.monotonic()
            power = generator.random() < 0.7
            if power:
                disk.cut(folder / "journal")
            findings.cuts, findings.kills = findings.cuts + power, findings.kills + (not power)
            findings.trades += len(acknowledged)


def a31p_cuts(count: int) -> Outcome:
    """Cut the power of owners, and kill some, while their players trade."""
    findings, generator = Findings(), random.Random()
    while findings.cuts < count and not findings.wrong:
        try:
            _lives(findings, min(findings.cuts + CUTS, count), generator)
        except FireflyError as error:
            findings.wrong.append(str(error))
    figure = (
        f"{len(findings.wrong)} wrong of {findings.cuts:,} power cuts and {findings.kills} kills, {findings.trades:,} "
        f"trades; cuts took back {findings.oldest * 1000:.0f} ms at most, with a sync each {INTERVAL * 1000:.0f} ms"
    )
    kept = not findings.wrong and findings.oldest <= INTERVAL * 5
    return Outcome(findings.cuts, figure + "".join(findings.wrong[:1]), kept)


ROWS = [Row("A31p", "a power cut takes whole trades back, and the next start is served", a31p_cuts, 5, 300)]
