"""The console's files: what others wrote is what they wrote, and nothing is asked of anybody else."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import firefly_admin

CONSOLE = Path(firefly_admin.__file__).with_name("console")
VENDOR = CONSOLE / "vendor"


def test_vendored_files_are_those_whose_hashes_are_written_down():
    sums = dict(line.split()[::-1] for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    code = {path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")}
    assert set(sums) == code
    for name, told in sums.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == told, name
    page = (VENDOR / "README.md").read_text()
    for name in code:
        assert f"`{name}`" in page
    for licence in re.findall(r"`(\S+\.LICENSE\.txt)`", page):
        assert (VENDOR / licence).stat().st_size > 500


def test_every_import_is_a_file_that_is_there():
    for path in (CONSOLE / "js").iterdir():
        for name in re.findall(r'from "([^"]+)"', path.read_text()):
            target = CONSOLE / name.removeprefix("/console/") if name.startswith("/") else path.parent / name
            assert target.resolve().is_file(), (path.name, name)


def test_our_own_files_ask_nothing_of_other_hosts_and_run_no_text_as_code():
    ours = [
        path for path in CONSOLE.rglob("*") if path.suffix in (".js", ".css", ".html") and VENDOR not in path.parents
    ]
    assert len(ours) >= 15
    for path in ours:
        text = path.read_text()
        found = set(re.findall(r"(?:https?|wss?):\\?/\\?/[^\s\"'`$)]+", text)) - {
            "http://www.w3.org/2000/svg'",
            "ws://localhost",
            "ws://127.0.0.1:11010/</code>",
        }
        assert {each for each in found if "w3.org" not in each} == set(), path.name
        assert not re.search(r"innerHTML|eval\(|new Function|document\.write|dangerouslySet", text), path.name
