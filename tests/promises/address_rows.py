"""Row A53: at which addresses the examples listen, as they are written and as they run."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from tests.promises.ledger import ROOT, Outcome, Row
from tests.promises.operated_game import OperatedGame, operated_game

__all__ = ["ROWS"]

LISTEN = re.compile(r"\b(?:tcp|tls|ws|wss|http)://([^/\s\"']+?):\d+")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
BEGINNING = re.compile(r"^\[servers\.", re.MULTILINE)


def examples() -> dict[str, str]:
    """Give every firefly.toml that stands in a file or on a page."""
    found = {"firefly.toml": (ROOT / "firefly.toml").read_text()}
    template = (ROOT / "firefly_core" / "cli" / "template" / "firefly.toml").read_text()
    found["init"] = template.replace("@NAME@", "demo")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        blocks = re.findall(r"^```toml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
        found |= {f"{page.name} {number}": text for number, text in enumerate(blocks) if BEGINNING.search(text)}
    return found


def listeners(game: OperatedGame) -> list[str]:
    """Give where the processes of a game listen, as hexadecimal addresses of Linux."""
    inodes = set()
    for pid in game.family():
        with suppress(OSError):
            links = (path.readlink().name for path in Path(f"/proc/{pid}/fd").iterdir())
            inodes |= {link[8:-1] for link in links if link.startswith("socket:")}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.append(fields[1].partition(":")[0])
    return found


def is_loopback(address: str) -> bool:
    """Whether a hexadecimal address of Linux is one of this machine's own."""
    return address == "00000000000000000000000001000000" or (len(address) == 8 and address.endswith("7F"))


def run_example(name: str, text: str) -> tuple[int, int]:
    """Run an example on free ports; gives how many listeners it has, and how many of them not on loopback."""
    ports = {port: f"{{p{port}}}" for port in re.findall(r"127\.0\.0\.1:(\d+)", text)}
    for port, place in ports.items():
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{place}")
    game_source = (ROOT / "firefly_core" / "cli" / "template" / "game.py").read_text().replace("@NAME@", "demo")
    path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}
    text = text.replace('"example_game/page"', '"."').replace('files = { "/client" = "clients/javascript" }', "")
    with operated_game(text, {"game": game_source}, environ=path) as game:
        found = listeners(game)
    return len(found), sum(not is_loopback(address) for address in found)


def a53_addresses(count: int) -> Outcome:
    """Look at `count` examples as they run, and at all of them as they are written."""
    every = examples()
    written = [
        f"{name}: {host}" for name, text in every.items() for host in LISTEN.findall(text) if host not in LOOPBACK
    ]
    there = [run_example(name, every[name]) for name in ["init", "firefly.toml"][:count]]
    listening, outside = sum(each for each, _ in there), sum(each for _, each in there)
    figure = (
        f"{outside} of {listening} listeners of {len(there)} running examples off loopback; "
        f"{len(written)} addresses off loopback in {len(every)} examples as written"
    )
    return Outcome(listening, figure + "".join(f"; {each}" for each in written[:3]), not outside and listening > 0)


ROWS = [
    Row("A53", "nothing listens off loopback unless told to", a53_addresses, 1, 2),
]
