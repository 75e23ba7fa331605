"""Row A51 (C26 too): what servers print, when it is far too much, when the disk is full, when files are moved away."""

from __future__ import annotations

import re
import resource
import signal
import time
from contextlib import suppress
from pathlib import Path

import gevent

from firefly_core.channel.network import SocketNetwork
from firefly_core.errors import RemoteError
from firefly_core.testing import FakeClient
from firefly_core.testing.client_wire import JsonWire
from tests.promises.ledger import Outcome, Row
from tests.promises.operated_game import OperatedGame, operated_game
from tests.promises.running_game import wait_until

__all__ = ["ROWS"]

TOML = """
[firefly]
plugins = ["gate", "root", "node", "protocols"]
log_folder = "logs"
log_size = 1048576
log_files = 200
[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:{door}", protocol = "json" }
rate = "off"
login_timeout = 3600.0
[servers.gate.root]
listen = "tcp://127.0.0.1:{root}"
[servers.world]
handlers = ["world"]
[servers.world.node]
roots = ["gate"]
"""
WORLD = """
import subprocess, sys
from firefly_core import command, on_start

FLOOD = '''
import sys, time
line = b"x" * 99 + b"\\\\n"
began, sent = time.monotonic(), 0
while True:
    sys.stdout.buffer.write(line * 1000)
    sys.stdout.flush()
    sent += 100_000
    time.sleep(max(0, sent / 100e6 - (time.monotonic() - began)))
'''

@on_start
def start(ctx) -> dict:
    return {"number": 0, "flood": None}

@command(1, public=True)
def ping(ctx, number: int) -> int:
    return number

@command(2, public=True)
def note(ctx, count: int) -> int:
    for _ in range(count):
        ctx.state["number"] += 1
        print(f"line {ctx.state['number']:09d} " + "." * 80, flush=True)
    return ctx.state["number"]

@command(3, public=True)
def flood(ctx, on: bool):
    if on:
        ctx.state["flood"] = subprocess.Popen([sys.executable, "-S", "-c", FLOOD])
    else:
        ctx.state["flood"].kill()
        ctx.state["flood"].wait()
"""
LINE = re.compile(r"^line (\d{9}) \.{80}$")
BATCH = 200


def player(game: OperatedGame) -> FakeClient:
    """Connect somebody who prints by commands, once these are taken."""
    client = FakeClient(SocketNetwork(), f"tcp://127.0.0.1:{game.ports['door']}", JsonWire(stream=True))

    def taken() -> bool:
        with suppress(RemoteError):
            return bool(client.request("ping", 1))
        return False

    wait_until(taken, "the world")
    return client


def latencies(client: FakeClient, seconds: float) -> list[float]:
    """Ask again and again; gives how long the answers took, sorted."""
    took = []
    ends = time.monotonic() + seconds
    while (began := time.monotonic()) < ends:
        client.request("ping", 1)
        took.append(time.monotonic() - began)
        gevent.sleep(0.002)
    return sorted(took)


def logged(game: OperatedGame) -> list[int]:
    """Give the numbers of all whole lines in the files of the server, oldest file first."""
    files = sorted((game.folder / "logs").glob("world-1.log*"), key=lambda path: (-len(path.suffix), path.name))
    text = "".join(path.read_text() for path in sorted(files, key=age))
    return [int(found[1]) for line in text.splitlines() if (found := LINE.match(line))]


def age(path: Path) -> int:
    """Give a key by which files sort from the oldest to the newest."""
    number = path.name.rpartition(".")[2]
    return -int(number) if number.isdigit() else 0


def print_lines(client: FakeClient, count: int) -> int:
    """Have `count` lines printed, no faster than they are promised to be taken; gives the last one's number."""
    last = 0
    for _ in range(count // BATCH):
        last = client.request("note", BATCH)
        gevent.sleep(0.01)
    return last


def moved_away(game: OperatedGame, client: FakeClient, count: int) -> tuple[int, int]:
    """Print, turn files over by size, move one away and send SIGUSR1; gives lines that are missing, and files."""
    half = print_lines(client, count // 2)
    newest = game.folder / "logs" / "world-1.log"
    wait_until(lambda: half in logged(game)[-1:], "the lines so far", 20)
    newest.replace(newest.with_name("moved.log"))
    game.process.send_signal(signal.SIGUSR1)
    gevent.sleep(0.1)
    last = print_lines(client, count // 2)
    wait_until(lambda: newest.exists() and last in logged(game)[-1:], "the last line", 20)
    moved = [
        int(found[1]) for line in newest.with_name("moved.log").read_text().splitlines() if (found := LINE.match(line))
    ]
    files = len(list((game.folder / "logs").glob("world-1.log*")))
    return last - len({*moved, *logged(game)}), files


def full_disk(game: OperatedGame, client: FakeClient) -> tuple[int, int, bool]:
    """Fill the disk for the log; gives the answers that failed, the lines told as lost, and if it was written again."""
    newest = game.folder / "logs" / "world-1.log"
    size = newest.stat().st_size
    resource.prlimit(game.process.pid, resource.RLIMIT_FSIZE, (size + 20_000, resource.RLIM_INFINITY))
    failed = 0
    for _ in range(10):
        failed += client.request("note", BATCH, timeout=5) is None
    lost = wait_until(lambda: game.states().get("world-1", {}).get("lost_lines", 0), "lost lines", 10)
    resource.prlimit(game.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    last = client.request("note", 1)
    wait_until(lambda: last in logged(game)[-1:], "a line after the disk was full", 10)
    return failed, lost, last in logged(game)


def a51_logs(count: int) -> Outcome:
    """Print `count` lines, then fill the disk; from ten thousand lines on, flood with 100 MB/s for ten seconds too."""
    with operated_game(TOML, {"world": WORLD}) as game:
        client = player(game)
        missing, files = moved_away(game, client, count)
        failed, lost, again = full_disk(game, client)
        figure = (
            f"{missing} of {count:,} lines missing over {files} files and a SIGUSR1; full disk: {lost:,} lines lost, "
            f"counted, {failed} commands failed"
        )
        fine = missing == 0 and failed == 0 and again
        if count >= 10_000:
            before = latencies(client, 5.0)
            client.request("flood", True)
            during = latencies(client, 10.0)
            client.request("flood", False)
            dropped = game.states()["world-1"]["lost_lines"] - lost
            slow, calm = (each[int(len(each) * 0.99)] for each in (during, before))
            figure += f"; flood of 100 MB/s: {dropped:,} lines dropped, p99 {calm * 1000:.1f} -> {slow * 1000:.1f} ms"
            fine &= dropped > 0 and slow <= 2 * calm
        client.close()
    return Outcome(count, figure, fine)


ROWS = [Row("A51", "logs turn over, lose nothing uncounted and never block a server", a51_logs, 800, 100_000)]
