"""The throw-away process that imports new code first."""

import os
import sys
import time

import gevent
import pytest

from firefly_core.kernel.reload.code_unit import CodeUnit, digest
from firefly_core.kernel.reload.rehearsal import rehearse

HANDLERS = "from firefly_core import command\n\n\n@command(1)\ndef go(ctx, request: int) -> int:\n    return request\n"


@pytest.fixture
def unit(tmp_path, monkeypatch):
    (tmp_path / "rehearsed").mkdir()
    (tmp_path / "rehearsed" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text, **others):
        for name, source in {"world": text, **others}.items():
            (tmp_path / "rehearsed" / f"{name}.py").write_text(source)
        return CodeUnit(("rehearsed.world",), frozenset({"rehearsed"}))

    return write


def test_it_says_what_it_read_and_what_the_handlers_take(unit):
    found = rehearse(
        unit(HANDLERS, rules="class Row:\n    __firefly_stable__ = True\n"), ["rehearsed.rules", "rehearsed.gone"]
    )
    assert found.problems == ()
    assert found.digests["rehearsed.world"] == digest(HANDLERS.encode())
    assert set(found.paths) == {"rehearsed", "rehearsed.world", "rehearsed.rules"}
    assert found.shape["command"]["1"]["takes"] == ["int"]
    assert found.defines == ("rehearsed.rules",)
    assert "rehearsed" not in sys.modules


def test_what_it_prints_and_leaves_running_has_no_say(unit):
    noise = "import threading, time, atexit, sys\nprint('x' * 100000)\nprint('y', file=sys.stderr)\n"
    noise += "threading.Thread(target=time.sleep, args=(60,)).start()\natexit.register(time.sleep, 60)\n"
    began = time.monotonic()
    assert rehearse(unit(noise + HANDLERS), []).problems == ()
    assert time.monotonic() - began < 5


def test_problems_have_their_place(unit):
    (problem,) = rehearse(unit("x = 1\nraise ValueError('no')\n"), []).problems
    assert problem.endswith("world.py:2: module 'rehearsed.world' cannot be imported: raised ValueError: no")


def test_whoever_waits_for_it_may_go_and_it_ends(unit, tmp_path):
    text = f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    waiting = gevent.spawn(rehearse, unit(text), [])
    with gevent.Timeout(10):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            gevent.sleep(0.01)
    pid = int((tmp_path / "pid").read_text())
    waiting.kill()
    assert not os.path.exists(f"/proc/{pid}")
