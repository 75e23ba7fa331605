"""What sessions, groups, guards and pushes cost: `python -m benchmarks.players` prints each with its goal.

Server CPU is measured in this process, with the clients in another one; two ways of doing a thing take turns, and the
median of their ratios counts. `--rounds 5` is quick, more is steadier.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402
import contextlib  # noqa: E402
import gc  # noqa: E402
import logging  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import tracemalloc  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402

from benchmarks.machine import open_files  # noqa: E402
from benchmarks.places import ROOT  # noqa: E402
from benchmarks.process import free_port  # noqa: E402
from firefly_core import command, push, remote  # noqa: E402
from firefly_core.kernel.handlers.context import HandlerContext  # noqa: E402
from firefly_core.kernel.handlers.run import runner_of  # noqa: E402
from firefly_core.testing import InProcessCluster  # noqa: E402

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
[servers.gate.gate]
listen = {{ url = "tcp://127.0.0.1:{gate}", protocol = "json" }}
rate = "off"
max_sessions = 20000
heartbeat = 3600.0  # the clients of benchmarks.sink only read
login_timeout = {timeout}
[servers.gate.root]
listen = "tcp://127.0.0.1:{root}"
[servers.world.node]
roots = ["gate"]
"""
MEMBERS = 1000
IDLE = 5000
BROADCASTS = 20
MESSAGES = 2000
GUARDED = 50_000
SETTLE = 0.3
LOGIN_TIMEOUT = 3.0
VALUE = {"firefly": 31, "by": "ada", "name": "Ada", "points": 3, "score": 120}
news = push(2001, name="news")


@command(1, public=True)
def login(ctx: Any, uid: int) -> None:
    ctx.session.bind(uid)


@command(7, public=True)
def enter(ctx: Any, uid: int) -> None:
    ctx.session.bind(uid)
    ctx.group("meadow").join(ctx.session)


@command(2, rate="1000000/s")
def limited(ctx: Any) -> None: ...


@command(3, roles=("gm",))
def for_roles(ctx: Any) -> None: ...


@command(4)
def free(ctx: Any) -> None: ...


@command(5, owner=lambda _ctx, uid: uid)
def owned(ctx: Any, uid: int) -> None: ...


@command(6)
def unowned(ctx: Any, uid: int) -> None: ...


@remote("heard")
def heard(ctx: Any, uid: int, value: dict[str, Any]) -> None: ...


@command(99)
def elsewhere(ctx: Any) -> None: ...


class Place:
    """A gate and a world in this process, on real sockets."""

    def __init__(self, cluster: InProcessCluster, port: int) -> None:
        self.cluster = cluster
        self.gate = cluster.kernel("gate")
        self.world = cluster.kernel("world")
        self.crowd: Any = self.gate.services["gate"].crowd  # type: ignore[attr-defined]
        self._port = port

    @contextlib.contextmanager
    def players(self, count: int, command: str = "enter") -> Iterator[None]:
        """Have `count` clients logged in by `command`, in a process of their own."""
        arguments = [sys.executable, "-m", "benchmarks.sink", str(self._port), str(count), command]
        with subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sink:
            assert sink.stdin is not None
            assert sink.stdout is not None
            sink.stdout.readline()
            gevent.sleep(SETTLE)
            yield
            sink.stdin.close()
            sink.wait()
        while self.crowd.sessions:
            gevent.sleep(0.01)


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """Start gate and world."""
    gate, root = free_port(), free_port()
    handlers = {"gate": [login, enter, limited, for_roles, free, owned, unowned, heard], "world": [elsewhere]}
    with InProcessCluster(
        TOML.format(gate=gate, root=root, timeout=LOGIN_TIMEOUT), handlers=handlers, network="sockets"
    ) as cluster:
        cluster.start()
        yield Place(cluster, gate)


def ratio(rounds: int, one: Callable[[], float], other: Callable[[], float]) -> tuple[float, float, float]:
    """Let two ways take turns; gives the median seconds of each, and the median of their ratios."""
    one(), other()  # caches fill
    pairs = [(one(), other()) for _ in range(rounds)]
    ones, others = zip(*pairs, strict=True)
    return statistics.median(ones), statistics.median(others), statistics.median(a / b for a, b in pairs)


def group_push(here: Place, rounds: int) -> tuple[str, float, float]:
    """A push to a group of 1,000, against writing one ready frame to 1,000 connections."""
    group = here.gate.groups.group("meadow")
    sessions = list(here.crowd.sessions.values())
    frame = b'{"cmd":2001,"name":"news","body":{"firefly":31,"by":"ada","name":"Ada","points":3,"score":120}}\n'

    def pushed() -> None:
        group.push(news, VALUE)

    def written() -> None:
        for session in sessions:
            session.stream.write(frame)

    def cpu(act: Callable[[], None]) -> float:
        used = 0.0
        for _ in range(BROADCASTS):
            began = time.process_time()
            act()
            while here.crowd._deliveries:
                gevent.sleep(0)
            used += time.process_time() - began
            gevent.sleep(0.02)  # the clients read
        return used / BROADCASTS / MEMBERS * 1e6

    ours, plain, found = ratio(rounds, lambda: cpu(pushed), lambda: cpu(written))
    return f"push to a group of {MEMBERS:,}: {ours:.2f} us a member, plain writes {plain:.2f} us", found, 1.3


def node_push(here: Place, rounds: int) -> tuple[str, float, float]:
    """`push_to` on a node, against a notify with the same value."""
    groups, mesh = here.world.groups, here.world.mesh
    [peer] = here.world.mesh.peers.values()

    def cpu(act: Callable[[int], object]) -> float:
        began = time.process_time()
        for uid in range(MESSAGES):
            act(uid)
        used = time.process_time() - began
        while peer.channel is not None and peer.channel.statistics()["outbox_frames"]:
            gevent.sleep(0.001)
        gevent.sleep(0.02)
        return used / MESSAGES * 1e6

    ours, plain, found = ratio(
        rounds,
        lambda: cpu(lambda uid: groups.push_to(uid, news, VALUE)),
        lambda: cpu(lambda uid: mesh.notify("heard", (uid, VALUE))),
    )
    return f"push_to on a node: {ours:.2f} us, a notify {plain:.2f} us", found, 1.2


def guard(here: Place, rounds: int, guarded: Any, plain: Any, body: bytes) -> float:
    """The microseconds that a guard that passes adds to a command."""
    session = next(iter(here.crowd.sessions.values()))
    session.data["roles"] = ["player", "gm"]
    codec = session.codec
    commands = here.gate.handlers.commands

    def cost(function: Any) -> float:
        handler = next(each for each in commands.values() if each.function is function)
        run = runner_of(here.gate, handler, codec)
        context = HandlerContext(here.gate, handler, session)
        began = time.process_time()
        for _ in range(GUARDED):
            run(context, body)
        return (time.process_time() - began) / GUARDED * 1e6

    body = b"%d" % session.uid if body else body
    with_guard, without, _ = ratio(rounds, lambda: cost(guarded), lambda: cost(plain))
    return with_guard - without


def idle_session(here: Place, command: str) -> tuple[float, float]:
    """The bytes that one player more takes at his gate, and at the directory."""
    gc.collect()
    tracemalloc.start(1)
    before = tracemalloc.take_snapshot()
    with here.players(IDLE, command):
        gevent.sleep(2 * LOGIN_TIMEOUT)  # that deadline is let go
        gc.collect()
        taken = tracemalloc.take_snapshot().compare_to(before, "filename")
    tracemalloc.stop()
    found: Counter[bool] = Counter()
    for difference in taken:
        found[difference.traceback[0].filename.endswith(("directory.py", "tracemalloc.py"))] += difference.size_diff
    return found[False] / IDLE, found[True] / IDLE


def main() -> int:
    """Measure, print, and exit with 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    logging.disable(logging.WARNING)
    open_files(16_000)
    missed = 0

    def tell(what: str, figure: float, goal: float, unit: str) -> None:
        nonlocal missed
        missed += figure > goal
        print(f"{'missed ' if figure > goal else 'reached'}  {figure:8.2f}{unit} <= {goal:g}{unit}  {what}", flush=True)

    with place() as here:
        with here.players(10):
            pass  # what is made once
        size, place_of_it = idle_session(here, "login")
        in_group, _ = idle_session(here, "enter")
        more = f"in a group {in_group - size:.0f} more, at the directory {place_of_it:.0f}"
        tell(f"an idle session that is logged in; {more}", size, 1536, " bytes")
    with place() as here, here.players(MEMBERS):
        tell(*group_push(here, rounds), "x")
        tell(*node_push(here, rounds), "x")
        for name, guarded, plain, body in (
            ("rate", limited, free, b""),
            ("roles", for_roles, free, b""),
            ("owner", owned, unowned, b"1"),
        ):
            tell(f"a guard that passes: {name}", guard(here, rounds, guarded, plain, body), 0.3, " us")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
