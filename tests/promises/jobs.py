"""What the processes of a fleet do: each runs the job that its environment names."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import gevent

from firefly_core import on_start
from firefly_core.errors import FireflyError
from tests.promises.models import Hero


@on_start
def start(ctx: Any) -> None:
    about = json.loads(os.environ["JOB"])
    gevent.spawn(run, ctx, about)


def run(ctx: Any, about: dict[str, Any]) -> None:
    folder = Path(about["folder"])
    try:
        told = JOBS[about["job"]](ctx, about)
    except Exception as error:
        told = {"error": repr(error)}
    draft = folder / f"draft-{about['name']}"
    draft.write_text(json.dumps(told))
    draft.rename(folder / f"result-{about['name']}.json")


def make(ctx: Any, about: dict[str, Any]) -> Any:
    """Make some heroes, flush them, and forget them, so that they are cold."""
    for number in range(about["rows"]):
        ctx.db.create(Hero, name=f"h{number}")
    owner = ctx._kernel.services["db-cache"].owner
    owner.flusher.flush(30)
    owner.memory.clear()
    gevent.spawn(watch, owner, Path(about["folder"]))
    return {"made": about["rows"]}


def watch(owner: Any, folder: Path) -> None:
    """Tell the owner's figures all the time."""
    while True:
        draft = folder / "draft-figures"
        draft.write_text(json.dumps({"reads": owner.reader.database_reads, "conflicts": owner.writer.conflicts}))
        draft.rename(folder / "figures.json")
        gevent.sleep(0.05)


def count(ctx: Any, about: dict[str, Any]) -> Any:
    """Count one row up, by `update`."""

    def change(hero: Hero) -> None:
        hero.gold += 1

    began = time.monotonic()
    for _ in range(about["times"]):
        ctx.db.update(Hero, 1, change)
    return {"seconds": time.monotonic() - began}


def crowd(ctx: Any, about: dict[str, Any]) -> Any:
    """Read one row from many greenlets at the same moment."""
    folder = Path(about["folder"])
    (folder / f"ready-{about['name']}").touch()
    while not (folder / "go").exists():
        gevent.sleep(0.005)
    readers = [gevent.spawn(ctx.db.get, Hero, 1) for _ in range(about["readers"])]
    gevent.joinall(readers, raise_error=True)
    return {"names": len({reader.value.name for reader in readers})}


def save(ctx: Any, about: dict[str, Any]) -> Any:
    """Save and note every acknowledgement, until killed; each life has a row of its own."""
    hero = ctx.db.get(Hero, about["key"])
    notes = os.open(Path(about["folder"]) / f"notes-{about['key']}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        hero.gold += 1
        ctx.db.save(hero)
        os.write(notes, f"{hero.gold}\n".encode())


def look(ctx: Any, about: dict[str, Any]) -> Any:
    """Read rows through the owner."""
    return {"gold": [hero.gold for hero in ctx.db.many(Hero, range(1, about["rows"] + 1))]}


def wait(ctx: Any, about: dict[str, Any]) -> Any:
    """Say when the owner answers."""
    while True:
        try:
            return {"gold": ctx.db.get(Hero, 1).gold}
        except FireflyError:
            gevent.sleep(0.05)


JOBS = {"make": make, "count": count, "crowd": crowd, "save": save, "look": look, "wait": wait}
