"""A closed loop of callers, started by a command, for `ctx.call` and `ctx.notify` as handlers use them."""

import sys
from pathlib import Path

import attrs
import gevent

from firefly_core import command

sys.path.append(str(Path(__file__).resolve().parent.parent / "peers"))
from callers import BODY, WARM_UP, Window

NOTICES = 500


@attrs.frozen
class Task:
    """What is asked for: `kind` is `call` or `notify`; `watched` is the pid of the other server."""

    kind: str
    in_flight: int
    seconds: float
    watched: int


@command(9, public=True, timeout=60.0)
def run(ctx, task: Task) -> dict:
    window = Window(task.seconds, task.watched)
    loop = call_loop if task.kind == "call" else notify_loop
    greenlets = [gevent.spawn(loop, ctx, window) for _ in range(task.in_flight)]
    gevent.sleep(WARM_UP)
    window.begin()
    gevent.sleep(window.seconds)
    window.end()
    gevent.joinall(greenlets, timeout=10, raise_error=True)
    return {"answers": window.counted, "seconds": window.took, "cpu": window.cpu}


def call_loop(ctx, window: Window) -> None:
    while not window.over:
        if ctx.call("echo", BODY) != BODY:
            raise AssertionError("the echo is not what was sent")
        window.calls += 1


def notify_loop(ctx, window: Window) -> None:
    """Send notices in portions; a call behind each portion says that they have been taken."""
    sent = 0
    while not window.over:
        for _ in range(NOTICES):
            ctx.notify("notice", BODY)
        sent += NOTICES
        if ctx.call("noticed") < sent:
            raise AssertionError("notices were lost")
        window.calls += NOTICES
