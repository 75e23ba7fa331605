"""Rows A49 and A50: code that is made anew while it is played, bad code (C32 too) and good code."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import gevent

from tests.promises.bad_code import KINDS, QUICK, Kind
from tests.promises.code_lab import CodeLab, code_lab
from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import PAGE

__all__ = ["ROWS"]


def try_bad(lab: CodeLab, kind: Kind) -> list[str]:
    """Reload one kind of bad code; gives what was not as it should be."""
    before = lab.snapshot()
    if kind.source is None:
        lab.path(kind.module).unlink()
    else:
        lab.write(kind.module, kind.source)
    report = lab.reload()
    wrong = []
    if report.taken or not any(kind.said in problem for problem in (*report.problems, *map(str, report.restart))):
        wrong.append(f"{kind.name}: {report.problems}")
    if lab.snapshot() != before:
        wrong.append(f"{kind.name}: something was changed")
    lab.restore()
    return wrong


def a49_bad_code(count: int) -> Outcome:
    """Reload bad code `count` times, of each kind in turn, while players and a caller go on."""
    kinds = KINDS if count >= len(KINDS) else QUICK
    wrong: list[str] = []
    with code_lab() as lab:
        lab.play(10, 0.02)
        for number in range(count):
            wrong += try_bad(lab, kinds[number % len(kinds)])
        gevent.sleep(0.1)
        answers, failures = lab.answers, lab.failures
        lab.leave()
    figure = (
        f"{len(wrong)} of {count} reloads of {min(count, len(kinds))} kinds of bad code changed anything or were not "
        f"refused with the reason; {len(failures)} of {answers:,} commands and calls meanwhile failed"
    )
    return Outcome(count, figure + "".join(f"; {each}" for each in (wrong + failures)[:2]), not wrong and not failures)


def resident() -> int:
    """Give the bytes of memory that this process holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def a50_good_code(count: int) -> Outcome:
    """Reload good code `count` times at a thousand commands and calls a second."""
    warm = min(50, count // 2)
    with code_lab() as lab:
        lab.play(20, 0.014)
        began, before, answered = time.monotonic(), 0, 0
        for number in range(count):
            if number == warm:
                before = resident()
            lab.write("rules", f"SCORE = {number % 9 + 1}\n")
            report = lab.reload()
            if not report.taken:
                lab.failures.append(str(report.problems))
        grown = (resident() - before) / max(1, count - warm) * 100 / 2**20
        answered, seconds = lab.answers, time.monotonic() - began
        failures = list(lab.failures)
        lab.leave()
    figure = (
        f"{len(failures)} of {answered:,} commands and calls failed, {answered / seconds:,.0f}/s, "
        f"over {count} reloads; memory {grown:+.2f} MiB per 100 reloads"
    )
    small = count < 100 or grown <= 1.0
    return Outcome(count, figure + "".join(f"; {each}" for each in failures[:2]), not failures and small)


ROWS = [
    Row("A49", "bad code that is reloaded changes nothing and fails nothing", a49_bad_code, 2, 20 * len(KINDS)),
    Row("A50", "good code is reloaded under load without an error or a leak", a50_good_code, 3, 1_000),
]
