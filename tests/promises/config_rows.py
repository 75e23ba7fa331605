"""Row A54: a firefly.toml that is wrong is refused before anything happens, with its place and its key."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from tests.promises.ledger import ROOT, Outcome, Row
from tests.promises.running_game import free_ports

__all__ = ["ROWS"]

GOOD = """\
[firefly]
plugins = ["gate", "root", "node", "protocols", "db-cache", "web"]

[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:DOOR", protocol = "json" }
max_frame = 65536
login_timeout = 15.0
[servers.gate.root]
listen = "tcp://127.0.0.1:ROOT"

[servers.world]
handlers = ["game"]
[servers.world.node]
roots = ["gate"]
[servers.world.db-cache]
database = "sqlite:///game.db"
durability = "journal"
models = ["heroes"]
"""
MODULES = {
    "game": "from firefly_core import command\n@command(1)\ndef ping(ctx): ...\n",
    "heroes": "from firefly_dbcache import CachedModel\nclass Hero(CachedModel): ...\n",
    "empty": "",
    "leaves": "raise SystemExit(0)\n",
    "spins": "while True: pass\n",
}


@attrs.frozen
class Bad:
    """One way in which a file is wrong: its text, and what must be said of it."""

    name: str
    text: str | bytes | Callable[[Path], None]
    said: str
    environ: dict[str, str] = attrs.Factory(dict)
    slow: bool = False
    """Cut after five seconds, not refused within one."""


def change(name: str, old: str, new: str, said: str, **more: object) -> Bad:
    """Give the good file with one place changed."""
    assert old in GOOD, old
    return Bad(name, GOOD.replace(old, new), said, **more)  # type: ignore[arg-type]


def value(key: str, old: str, *values: str) -> list[Bad]:
    """Give the good file with one key's value changed in several ways."""
    return [change(f"{key} = {new[:30]}", f"{key} = {old}", f"{key} = {new}", key) for new in values]


DOOR = '"tcp://127.0.0.1:DOOR"'
WORLD = "[servers.world]\n"
KINDS: list[Bad] = [
    Bad("no file", lambda path: None, "firefly.toml"),
    Bad("a folder", lambda path: path.mkdir(), "firefly.toml"),
    Bad("a pipe", lambda path: os.mkfifo(path), "firefly.toml"),
    Bad("10 MiB", GOOD + "#" * 10 * 2**20, "firefly.toml"),
    Bad("Latin-1", GOOD.encode() + b"# \xe9\n", "firefly.toml"),
    Bad("UTF-16", GOOD.encode("utf-16"), "firefly.toml"),
    Bad("zero bytes", GOOD.encode() + b"\0", "firefly.toml"),
    Bad("no text at all", "", "servers"),
    Bad("no server", '[firefly]\nplugins = ["gate"]\n', "servers"),
    Bad("a torn line", GOOD + "[servers.world.node", "firefly.toml:19"),
    Bad("2,000 nested arrays", GOOD + "x = " + "[" * 2000 + "]" * 2000 + "\n", "firefly.toml:19"),
    change("5,000 digits", "max_frame = 65536", f"max_frame = {'9' * 5000}", "firefly.toml:6"),
    *value("max_frame", "65536", "true", "0", "1099511627776", "16", "-1", "1.5", '"65536"', "nan"),
    *value("login_timeout", "15.0", "nan", "inf", "-1", "0", "true", '"15"', "1e308", "[]"),
    *[
        change(f"host {host[:20]!r}", DOOR, f'"tcp://{host}:DOOR"', "servers.gate.gate.listen")
        for host in ("a\\u0000b", "", "::", "localhost.", "x" * 300, "256.1.1.1", "a b")
    ],
    *[
        change(f"port {port}", DOOR, f'"tcp://127.0.0.1:{port}"', "servers.gate.gate.listen")
        for port in ("0x10", "-1", "65536", "", "99999999999", "true")
    ],
    change("two on one port", "ROOT", "DOOR", "listen"),
    change("a port that is taken", '"tcp://127.0.0.1:DOOR"', '"tcp://127.0.0.1:TAKEN"', "is taken by"),
    change("an unknown key", "max_frame", "maxframe", "max_frame"),
    change("an unknown service", "[servers.gate.root]", "[servers.gate.rooot]", "root"),
    change("an unknown section", "[firefly]", "[fireflly]\n[firefly]", "firefly"),
    change("an unknown plugin", '"gate", "root"', '"gaet", "root"', "gate"),
    change("a typing error in a key", "roots", "root", "roots"),
    change("itself for a root", '["gate"]', '["world"]', "servers.world.node.roots"),
    change("an unknown root", '["gate"]', '["gaet"]', "gate"),
    Bad("10,000 servers", GOOD + "".join(f"[servers.s{n}]\n" for n in range(10_000)), "servers"),
    change("10,000 replicas", WORLD, WORLD + "replicas = 10000\n", "replicas"),
    *[
        change(f"a server called {name[:12]!r}", WORLD, f"[servers.{name}]\n", "servers")
        for name in ('""', '"../x"', '"a b; rm -rf /"', '"-h"', '"\U0001f40c"', f'"{"x" * 300}"', "Gate", "w-1")
    ],
    *[
        change(f"handlers {module[:12]!r}", '["game"]', f'["{module}"]', "handlers")
        for module in ("os.path\\n", "..x", "empty", "leaves", "no_such", "", "json/../x")
    ],
    change("an import that takes for ever", '["game"]', '["spins"]', "spins", slow=True),
    change("a secret from nowhere", "[firefly]", '[firefly]\nsecret = "${NOWHERE}"', "NOWHERE"),
    change("an empty secret", "[firefly]", '[firefly]\nsecret = "${EMPTY}"', "EMPTY", environ={"EMPTY": ""}),
    change("a line break", "[firefly]", '[firefly]\nsecret = "${ENDS}"', "ENDS", environ={"ENDS": "x" * 20 + "\n"}),
    change("a short secret", "[firefly]", '[firefly]\nsecret = "short"', "secret"),
    change("no such mode", '"journal"', '"fync"', "fsync"),
    change("no such database", '"sqlite:///game.db"', '"oracle://x/y"', "database"),
    change("off loopback", '"tcp://127.0.0.1:ROOT"', '"tcp://0.0.0.0:ROOT"', "servers.gate.root"),
    Bad("a bad variable", GOOD, "FIREFLY_DRAIN_TIMEOUT", {"FIREFLY_DRAIN_TIMEOUT": "soon"}),
    Bad("a bad line in FIREFLY_SET", GOOD, "FIREFLY_SET", {"FIREFLY_SET": "servers.gate.gate.rate"}),
]


def refuse(bad: Bad) -> tuple[str, float]:
    """Start a game with a wrong file; gives what was not as it should be, and the seconds."""
    with tempfile.TemporaryDirectory(prefix="bad-") as name, socket.create_server(("127.0.0.1", 0)) as taken:
        folder = Path(name)
        path = folder / "firefly.toml"
        for module, source in MODULES.items():
            (folder / f"{module}.py").write_text(source)
        if callable(bad.text):
            bad.text(path)
        else:
            text = bad.text.encode() if isinstance(bad.text, str) else bad.text
            door, root = free_ports(2)
            for place, port in ((b"DOOR", door), (b"ROOT", root), (b"TAKEN", taken.getsockname()[1])):
                text = text.replace(place, str(port).encode())
            path.write_bytes(text)
        environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", **bad.environ}
        began = time.monotonic()
        command = [sys.executable, "-m", "firefly_core.run"]
        try:
            ended = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=20)
        except subprocess.TimeoutExpired:
            return f"{bad.name}: it started, or hung", 20.0
        seconds = time.monotonic() - began
        made = [each.name for each in folder.iterdir() if each.name in ("game.db", "journal") or each.suffix == ".sock"]
    if ended.returncode != 78:
        return f"{bad.name}: exit {ended.returncode}, {ended.stderr[-200:]}", seconds
    if bad.said not in ended.stderr or "Traceback" in ended.stderr:
        return f"{bad.name}: said {ended.stderr[:200]!r}", seconds
    if made or " starts" in ended.stderr:
        return f"{bad.name}: made {made}", seconds
    return "", seconds


def a54_files(count: int) -> Outcome:
    """Start with `count` kinds of wrong files."""
    chosen = KINDS if count >= len(KINDS) else [each for each in KINDS if not each.slow][:: len(KINDS) // count][:count]
    told = [refuse(bad) for bad in chosen]
    wrong = [fault for fault, _ in told if fault]
    took = sorted(seconds for (_, seconds), bad in zip(told, chosen, strict=True) if not bad.slow)
    within = sum(seconds <= 1.0 for seconds in took)
    figure = (
        f"{len(chosen) - len(wrong)} of {len(chosen)} refused with 78, the place and nothing started; "
        f"{within} of {len(took)} within 1 s, median {took[len(took) // 2]:.2f} s, at most {took[-1]:.2f} s"
    )
    return Outcome(len(chosen), figure + "".join(f"; {each}" for each in wrong[:3]), not wrong and took[-1] <= 5.0)


ROWS = [Row("A54", "a wrong firefly.toml is refused before any effect, with place and key", a54_files, 3, len(KINDS))]
