"""Rows A45, A46 and C21 to C25: a supervisor that is killed, servers that do not stop, ends of all kinds, signals.

A45 is C23 too, A46 is C22.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time

import gevent

from tests.promises.ledger import Outcome, Row
from tests.promises.operated_game import OperatedGame, operated_game
from tests.promises.running_game import wait_until

__all__ = ["ROWS"]

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
log_level = "warning"
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:{door}", protocol = "json" }
[servers.gate.root]
listen = "tcp://127.0.0.1:{root}"
[servers.world]
handlers = ["world"]
[servers.world.node]
roots = ["gate"]
"""
STUBBORN = """
import os, signal, subprocess
from firefly_core import command, on_start

@on_start
def start(ctx):
    subprocess.Popen(["sleep", "600"])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)

@command(1, public=True)
def nothing(ctx): ...
"""
MODES = """
import os, resource, signal, sys
import gevent
from firefly_core import command, on_start

def die(mode):
    if mode == "SIGSEGV":
        os.kill(os.getpid(), signal.SIGSEGV)
    if mode == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))
        kept = []
        while True:
            kept.append(bytearray(2**22))
    os._exit(int(mode))

@on_start
def start(ctx):
    def watch():
        while not Path("mode").exists():
            gevent.sleep(0.02)
        gevent.sleep(0.2)  # a server that has just said that it is ready may still be writing so
        mode = Path("mode").read_text()
        Path("mode").unlink()
        if mode == "memory":  # in the main greenlet, where an error ends the process
            gevent.get_hub().parent.throw(MemoryError())
        die(mode)
    gevent.spawn(watch)

@command(1, public=True)
def nothing(ctx): ...
"""


def survivors(game: OperatedGame, limit: float) -> tuple[int, float]:
    """Give how many processes of a game are left after `limit` seconds, and when the last one was gone."""
    began = time.monotonic()
    while (left := game.family()) and time.monotonic() - began < limit:
        gevent.sleep(0.01)
    return len(left), time.monotonic() - began


# ------------------------------------------------------------------------------------------- the supervisor is killed


def a45_kills(count: int) -> Outcome:
    """kill -9 the supervisor at any moment, `count` times; nobody is left, and the next one starts."""
    chance = random.Random(45)
    left, slowest, starts, longest = 0, 0.0, 0, 0.0
    with operated_game(TOML.replace("[servers.world]", "[servers.world]\nreplicas = 2"), {"world": STUBBORN}) as game:
        for number in range(count):
            if number:
                began = time.monotonic()
                lines = len(game.lines())
                game.again()
                if ready := chance.random() < 0.5:
                    wait_until(
                        lambda lines=lines: any("all servers ready" in line for line in game.lines()[lines:]), "ready"
                    )
                    starts += 1
                    longest = max(longest, time.monotonic() - began)
                gevent.sleep(chance.uniform(0, 0.1 if ready else 2.0))
            game.process.kill()
            game.process.wait()
            alive, seconds = survivors(game, 3.0)
            left += alive
            slowest = max(slowest, seconds)
        game.again()
        game.wait_state("world-2", "ready")
        refused = sum("taken by" in line or "runs already" in line for line in game.lines())
        game.run("stop", "--now")
    figure = (
        f"{left} survivors 3 s after {count} kills, the last one gone after {slowest:.2f} s; "
        f"{starts + 1} starts waited for, {refused} refused, ready within {longest:.1f} s"
    )
    return Outcome(count, figure, left == 0 and refused == 0)


# --------------------------------------------------------------------------------------------------------- stops


def a46_stops(count: int) -> Outcome:
    """Stop servers that ignore SIGTERM and SIGQUIT and have children, `count` times, at the default deadlines."""
    slowest, left, wrong = 0.0, 0, 0
    for _ in range(count):
        with operated_game(TOML, {"world": STUBBORN}) as game:
            began = time.monotonic()
            game.process.send_signal(signal.SIGTERM)
            wrong += game.process.wait(60) != 0
            slowest = max(slowest, time.monotonic() - began)
            left += survivors(game, 0.5)[0]
    figure = f"all gone after {slowest:.1f} s at most, children too; {left} left, {wrong} wrong exit statuses"
    return Outcome(count, figure, slowest <= 21.0 and left == 0 and wrong == 0)


# --------------------------------------------------------------------------------------------------------- endings

ENDINGS = ("78", "0", "SIGSEGV", "memory")


def c21_endings(count: int) -> Outcome:
    """Let a server end in each way `count` times; 78 is not started again, all else is."""
    wrong: list[str] = []
    with operated_game(TOML.replace("plugins", 'give_up = "off"\nplugins'), {"world": MODES}) as game:
        gate = game.wait_state("gate-1", "ready")
        for mode in ENDINGS * count:
            before = game.wait_state("world-1", "ready")["starts"]
            draft = game.folder / "draft"
            draft.write_text(mode)
            draft.rename(game.folder / "mode")
            if mode == "78":
                told = game.wait_state("world-1", "fatal")
                if told["starts"] != before:
                    wrong.append(mode)
                game.run("restart", "world", "--force")
            else:
                wait_until(lambda before=before: game.states().get("world-1", {}).get("starts", 0) > before, mode)
        game.wait_state("world-1", "ready", timeout=60)
        now = game.wait_state("gate-1", "ready")
        if now["pid"] != gate["pid"]:
            wrong.append("the gate")
    ways = ", ".join(ENDINGS)
    return Outcome(
        4 * count, f"{len(wrong)} of {4 * count} endings ({ways}) taken wrongly; the gate untouched", not wrong
    )


# --------------------------------------------------------------------------------------------------------- signals


def c24_signals(count: int) -> Outcome:
    """SIGHUP with a file that cannot be read touches nobody; SIGTERM and SIGINT stop, a second one at once."""
    touched, untold, slowest, wrong = 0, 0, 0.0, 0
    for number in range(count):
        with operated_game(TOML, {"world": MODES}) as game:
            pids = {name: told["pid"] for name, told in game.states().items()}
            whole = (game.folder / "firefly.toml").read_text()
            (game.folder / "firefly.toml").write_text(
                random.Random(number).choice(["[", "x = 1\n", whole + "\nrate = ", ""])
            )
            game.process.send_signal(signal.SIGHUP)
            said = wait_until(
                lambda: [line for line in game.lines() if "old one stays in force" in line], "the refusal"
            )
            untold += not said
            touched += {name: told["pid"] for name, told in game.states().items()} != pids
            number_of_signals = 1 + number % 2
            began = time.monotonic()
            for _ in range(number_of_signals):
                game.process.send_signal(signal.SIGTERM if number % 4 < 2 else signal.SIGINT)
                gevent.sleep(0.02)
            wrong += game.process.wait(40) != 0
            slowest = max(slowest, time.monotonic() - began)
            wrong += survivors(game, 1.0)[0]
    figure = (
        f"{touched} services touched by {count} bad SIGHUPs, {untold} untold; "
        f"{count} stops by one signal or two, {wrong} wrong, the slowest {slowest:.1f} s"
    )
    return Outcome(count, figure, not touched and not untold and not wrong)


def c25_twice(count: int) -> Outcome:
    """Start a second supervisor on one firefly.toml, `count` times."""
    right, took = 0, []
    with operated_game(TOML, {"world": MODES}) as game:
        for _ in range(count):
            began = time.monotonic()
            second: subprocess.CompletedProcess[str] = game.run()
            took.append(time.monotonic() - began)
            right += second.returncode == 78 and f"pid {game.process.pid}" in second.stderr
        states = game.states()
        right -= any(told["starts"] != 1 for told in states.values())
    took.sort()
    figure = f"{right} of {count} exit with 78 and name the first one's pid, after {took[0]:.2f} to {took[-1]:.2f} s"
    return Outcome(count, figure, right == count and took[-1] <= 5.0)


ROWS = [
    Row("A45", "kill -9 of the supervisor leaves no orphan, and the next one starts", a45_kills, 0, 100),
    Row(
        "A46",
        "a stop ends within drain_timeout and five seconds, although servers ignore every signal",
        a46_stops,
        0,
        20,
    ),
    Row("C21", "how a server ends decides whether it starts again, and hurts nobody else", c21_endings, 0, 10),
    Row("C24", "signals: a bad file changes nothing, a second signal hurries", c24_signals, 0, 20),
    Row("C25", "a second supervisor of one firefly.toml is refused", c25_twice, 0, 10),
]
