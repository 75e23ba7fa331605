"""Killing owners: a process that has everything imported forks one life after the other, and kill -9 ends each.

    nest = Nest(); nest.life(folder, seed=1, lifetime=0.1, point="after_commit") -> Death

Run as a program it is that process: it reads one life a line (JSON) and answers with what came of it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs

POINTS = (
    "before_write",
    "mid_record",
    "after_write",
    "before_flush",
    "mid_batch",
    "after_commit",
    "rotation",
    "checkpoint_begun",
    "checkpoint_written",
    "checkpoint_overtaken",
    "replay",
    "second_replay",
)
"""Where a life can be told to end; `mid_record` is half-way in the write, the last two are in the next start.

`checkpoint_overtaken` is `checkpoint_written` after the database took changes that the checkpoint does not have.
"""
PATIENCE = 5.0
"""Seconds that the flusher is given for it."""


NAMES: dict[str | None, str] = {"second_replay": "replay", "checkpoint_overtaken": "checkpoint_written"}
"""What the owner calls a point that has another name here."""


@attrs.frozen
class Death:
    """How a life ended: whether the state it found was checked, what was wrong in it, where it died."""

    checked: bool
    wrong: list[str]
    acknowledged: int
    point: str | None
    status: int


class Nest:
    """The process that forks lives."""

    def __init__(self) -> None:
        path = os.pathsep.join(part for part in sys.path if part)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.promises.crash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            cwd=Path(__file__).parents[2],
        )

    def life(self, folder: Path, **how: Any) -> Death:
        """Let one owner live in `folder` and die: after `lifetime` seconds, or at `point`, the `hits`-th time.

        The lifetime begins with the process, or with `begin="checked"` when what the former life left was checked.
        Without `lifetime` and `point` it starts, is checked and stops cleanly.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"folder": str(folder), **how}).encode() + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        return Death(**json.loads(line))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


# --------------------------------------------------------------------------------------------- inside of the process


def _serve() -> None:
    from gevent import monkey

    import tests.promises.lab

    assert tests.promises.lab
    fork = monkey.get_original("os", "fork")
    sleep = monkey.get_original("time", "sleep")
    waitpid = monkey.get_original("os", "waitpid")
    for line in sys.stdin:
        how = json.loads(line)
        reader, writer = os.pipe()
        child = fork()
        if child == 0:
            os.close(reader)
            _live(how, writer)
            os._exit(0)
        os.close(writer)
        said = b""
        if how.get("lifetime") is not None:
            while how.get("begin") == "checked" and b"checked" not in said and (more := os.read(reader, 65536)):
                said += more
            sleep(how["lifetime"])
            os.kill(child, signal.SIGKILL)
        told = _read(reader, said)
        _, status = waitpid(child, 0)
        death = {"checked": False, "wrong": [], "acknowledged": 0, "point": None, **told, "status": status}
        sys.stdout.write(json.dumps(death) + "\n")
        sys.stdout.flush()


def _read(reader: int, said: bytes) -> dict[str, Any]:
    with os.fdopen(reader, "rb") as file:
        told: dict[str, Any] = {}
        for line in (said + file.read()).splitlines():
            told.update(json.loads(line))
        return told


def _live(how: dict[str, Any], writer: int) -> None:
    """One life: start, check, and go on until the end comes."""
    import gevent

    from tests.promises import lab, models
    from tests.promises.crash_world import CrashWorld, Notes

    def tell(**what: Any) -> None:
        os.write(writer, json.dumps(what).encode() + b"\n")

    folder = Path(how["folder"])
    point, hits = how.get("point"), how.get("hits", 1)
    reached = 0

    def at(name: str) -> None:
        nonlocal reached
        if point == "checkpoint_overtaken" and name == "checkpoint_begun":
            begun = owner.journal.last
            with gevent.Timeout(PATIENCE, False):  # type: ignore[arg-type]  # the stubs do not know of False
                while owner.journal.flushed <= begun:
                    gevent.sleep(0.001)
        if name == NAMES.get(point, point):
            reached += 1
            if reached == hits:
                tell(point=point)
                os.kill(os.getpid(), signal.SIGKILL)

    keys = {"segment": 4096, "flush_interval": 0.02, "durability": how.get("durability", "journal")} | how.get(
        "keys", {}
    )
    parts: dict[str, Any] = {"at": at}
    if point == "mid_record":
        parts["disk"] = _half_writer(hits, tell)
    chosen = getattr(models, how.get("counter", "Hero"))
    owner = lab.make_owner(folder, [models.Hero, models.Item, models.Account], parts=parts, **keys)
    try:
        owner.start()
        db = lab.OwnedHandle(owner)
        notes = Notes(folder / "notes")
        world = CrashWorld(db, notes, chosen, how.get("seed", 0))
        wrong = world.check()
        tell(checked=True, wrong=wrong, acknowledged=notes.count)
        if point is None and how.get("lifetime") is None:
            if not owner.stop():
                tell(wrong=[*wrong, "it did not stop cleanly"])
            return
        gevent.spawn(_hurry, owner)
        world.build()
        world.live()
    except BaseException as error:
        tell(checked=True, wrong=[repr(error)])
        os._exit(1)


def _hurry(owner: Any) -> None:
    import gevent

    while True:
        gevent.sleep(0.01)
        owner.upkeep.hurry()


def _half_writer(hits: int, tell: Any) -> Any:
    from firefly_dbcache.journal.disk import Disk

    class HalfWriter(Disk):
        """Dies half-way in the `hits`-th write."""

        left = hits + 1  # the first write is a segment's header

        def write(self, descriptor: int, data: bytes) -> int:
            self.left -= 1
            if self.left == 0:
                super().write(descriptor, data[: len(data) // 2])
                tell(point="mid_record")
                os.kill(os.getpid(), signal.SIGKILL)
            return super().write(descriptor, data)

    return HalfWriter()


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()
    _serve()
