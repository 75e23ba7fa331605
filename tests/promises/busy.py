"""The handlers of a server that writes all the time, and notes what was acknowledged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gevent

from firefly_core import on_start
from tests.promises.models import Hero


@on_start
def start(ctx: Any) -> None:
    hero = ctx.db.create(Hero, name="busy")
    notes = os.open(Path(os.environ["NOTES"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def work() -> None:
        while True:
            hero.gold += 1
            ctx.db.save(hero)
            os.write(notes, f"{hero.gold}\n".encode())
            gevent.sleep(0.0005)

    gevent.spawn(work)
