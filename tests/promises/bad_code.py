"""Kinds of bad code that a reload must refuse: which module is written how, and a word of what is said then."""

from __future__ import annotations

import attrs

from tests.promises.code_lab import GAME

__all__ = ["KINDS", "SLOW", "Kind"]

WORLD = GAME["world"]


@attrs.frozen
class Kind:
    """One kind of bad code."""

    name: str
    module: str
    source: str | bytes | None
    """None: the file is removed."""
    said: str


def changed(old: str, new: str) -> str:
    """Give the world's source with one place changed."""
    assert old in WORLD
    return WORLD.replace(old, new)


QUICK = (
    Kind("does not compile", "rules", "SCORE = (\n", "SyntaxError"),
    Kind("raises after two definitions", "world", WORLD + "\n1 / 0\n", "ZeroDivisionError"),
    Kind("imports in a circle", "rules", "from GAME.world import told\n", "circular import"),
    Kind("imports what is not there", "rules", "import no_such_module\n", "no_such_module"),
    Kind("wants a name that is gone", "messages", "", "cannot import name 'Ask'"),
    Kind("its file is gone", "rules", None, "rules"),
    Kind("is no text", "rules", b"\x00\xff\xfe", "rules"),
    Kind("calls sys.exit", "rules", "import sys\nsys.exit(0)\n", "SystemExit"),
    Kind("calls os._exit", "rules", "import os\nos._exit(0)\n", "ended with"),
    Kind("crashes", "rules", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "SIGSEGV"),
    Kind("is interrupted", "rules", "raise KeyboardInterrupt\n", "ended with"),
    Kind("raises GreenletExit", "rules", "import gevent\nraise gevent.GreenletExit\n", "ended with"),
    Kind("raises what cannot be shown", "rules", "class E(Exception):\n __str__ = 5\nraise E\n", "cannot be had"),
    Kind("never stops to call itself", "rules", "def f():\n f()\nf()\n", "RecursionError"),
    Kind("wants all memory", "rules", "x = bytearray(64 * 1024**3)\n", "MemoryError"),
    Kind("closes every file", "rules", "import os\nos.closerange(0, 256)\n", "ended with"),
    Kind("leaks a timeout", "rules", "import gevent\ngevent.Timeout(0.01).start()\ngevent.sleep(3)\n", "Timeout"),
    Kind("removes a command", "world", changed("@command(1, public=True)", ""), "is gone"),
    Kind("removes a remote", "world", changed('@remote("world.score")', ""), "is gone"),
    Kind("renames a command", "world", changed("public=True)", 'public=True, name="points")'), "called points now"),
    Kind("takes no request", "world", changed("score(ctx, request: Ask)", "score(ctx)"), "takes 0 arguments"),
    Kind("takes one argument more", "world", changed("by: int)", "by: int, more: int)"), "takes 2 arguments"),
    Kind("takes another type", "world", changed("told(ctx, by: int)", "told(ctx, by: str)"), "takes str where"),
    Kind("needs a field that nobody sends", "messages", GAME["messages"].replace(" = 0", "\n    x: int"), "needs"),
    Kind("a handler without ctx", "world", changed("def tick(ctx)", "def tick()"), "must be `ctx`"),
    Kind("an async handler", "world", changed("def tick", "async def tick"), "async def"),
    Kind("one id twice", "world", WORLD + "\n\n@command(1)\ndef twin(ctx):\n    pass\n", "command id 1 is taken"),
    Kind("a type that nobody can read", "world", changed("request: Ask", "request: Nobody"), "Nobody"),
    Kind("no handlers any more", "world", "", "no handlers in it"),
    Kind("a model", "rules", "SCORE = 1\nclass Row:\n    __firefly_stable__ = True\n", "restart is needed"),
)
SLOW = (
    Kind("sleeps for ever", "rules", "import time\ntime.sleep(3600)\n", "took longer"),
    Kind("spins for ever", "rules", "while True:\n    pass\n", "took longer"),
    Kind(
        "spins and catches everything",
        "rules",
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass\n",
        "took longer",
    ),
)
"""These are cut after seconds."""
KINDS = (*QUICK, *SLOW)
