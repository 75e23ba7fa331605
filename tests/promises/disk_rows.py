"""Row C18: the journal's disk fails in four ways while eight players save."""

from __future__ import annotations

import errno
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
import gevent
from firefly_dbcache.owner.statistics import statistics
from gevent import monkey

from firefly_core.errors import Overloaded
from tests.promises import lab
from tests.promises.bad_disk import BadDisk
from tests.promises.ledger import Outcome, Row
from tests.promises.models import Account, Hero

__all__ = ["ROWS"]

EACH = 4
"""Players who save rows of the mode `journal`, and as many of the mode `fsync`."""
UNSEEN = ("EIO on fsync", "slow fsync")
"""What a change that does not wait for the disk need not notice."""
FAULTS = ("no room", "EIO on write", "EIO on fsync", "slow fsync")

sleep = monkey.get_original("time", "sleep")


class Players:
    """Everybody counts a row of his own up and notes what was acknowledged."""

    def __init__(self, db: Any) -> None:
        self.begun: dict[tuple[Any, Any], int] = {}
        self.acknowledged: dict[tuple[Any, Any], int] = {}
        self.refused = 0
        self.done = 0
        """Acknowledgements of the mode `fsync`."""
        self.fault: str | None = None
        """What is wrong with the disk just now."""
        self.false = 0
        """Acknowledgements of what was begun and ended within one fault that makes them impossible."""
        self._db = db
        for number in range(1, EACH + 1):
            self.acknowledged[Hero, db.create(Hero, name="x").id] = 0
            self.acknowledged[Account, db.create(Account, login=f"player {number}").login] = 0
        self.begun.update(self.acknowledged)
        self._greenlets = [gevent.spawn(self._play, *place) for place in self.acknowledged]

    def _play(self, model: Any, key: Any) -> None:
        column = "gold" if model is Hero else "coins"
        while True:
            self.begun[model, key] = self.acknowledged[model, key] + 1
            fault = self.fault
            try:
                row = self._db.add(model, key, **{column: 1})
            except Overloaded:
                self.refused += 1
            else:
                self.acknowledged[model, key] = getattr(row, column)
                self.done += model is Account
                if fault is not None and fault == self.fault:
                    self.false += model is Account or fault not in UNSEEN
            gevent.sleep(0.002)

    def stop(self) -> None:
        """End them."""
        gevent.killall(self._greenlets)

    def wrong(self, db: Any) -> int:
        """Give how many rows have less than what was acknowledged, or more than what was begun."""
        found = {
            (model, key): db.get(model, key).gold if model is Hero else db.get(model, key).coins
            for model, key in self.acknowledged
        }
        return sum(not self.acknowledged[place] <= value <= self.begun[place] for place, value in found.items())


@attrs.define
class Findings:
    """What came of some faults."""

    false: int = 0
    silent: int = 0
    """Faults that the metric `refusing` did not tell."""
    reused: int = 0
    """Segments that were written to after an error."""
    wrong: int = 0
    slowest: float = 0.0


def _hurt(disk: BadDisk, kind: str, players: Players, slow: float) -> None:
    """Let the disk fail until it was noticed, and a moment longer."""
    if kind == "slow fsync":
        waited: list[float] = []

        def wait() -> None:
            players.fault = kind
            sleep(slow)
            players.fault = None
            waited.append(slow)

        disk.before_sync = wait
        lab.wait_until(lambda: waited, slow + 10)
        return
    players.fault = kind
    if kind == "no room":
        disk.room = 0
    else:
        disk.fail = {"write" if kind.endswith("write") else "sync": errno.EIO}
    before = players.refused
    lab.wait_until(lambda: players.refused > before)
    gevent.sleep(0.05)


def _fault(kind: str, slow: float, findings: Findings) -> None:
    disk = BadDisk()
    with tempfile.TemporaryDirectory() as name:
        owner = lab.make_owner(Path(name), [Hero, Account], parts={"disk": disk})
        owner.start()
        gevent.sleep(0)
        players = Players(lab.OwnedHandle(owner))
        lab.wait_until(lambda: players.done > 5)
        segment = owner.journal._current.path
        _hurt(disk, kind, players, slow)
        findings.silent += kind != "slow fsync" and not statistics(owner)["refusing"]
        players.fault = None
        disk.fail, disk.room, disk.before_sync = {}, None, lambda: None
        began, known = time.monotonic(), players.done
        lab.wait_until(lambda: players.done > known + 5, 30)
        findings.slowest = max(findings.slowest, time.monotonic() - began)
        findings.reused += kind.startswith("EIO") and owner.journal._current.path == segment
        findings.false += players.false
        players.stop()
        lab.abandon(owner)
        with lab.running(Path(name), [Hero, Account]) as db:
            findings.wrong += players.wrong(db)


def c18_disks(count: int) -> Outcome:
    """Let the disk be full, fail to write, fail to sync and take long to sync, by turns, under load."""
    findings = Findings()
    for number in range(count):
        _fault(FAULTS[number % len(FAULTS)], 5.0 if count >= 20 else 0.2, findings)
    figure = (
        f"{findings.false} false acknowledgements, {findings.wrong} rows wrong after a crash, {findings.reused} bad "
        f"segments used again, {findings.silent} of {count} faults untold; acknowledging after {findings.slowest:.1f} s"
    )
    bad = findings.false + findings.silent + findings.reused + findings.wrong
    return Outcome(count, figure, not bad)


ROWS = [Row("C18", "a journal's disk that fails stops acknowledgements, under load", c18_disks, 4, 80)]
