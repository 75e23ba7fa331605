"""Every block of code in docs/ is run by a test; this one knows which, and runs what no other does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from firefly_core.testing import InProcessCluster

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_BY = {
    "channels.md": ["tests/docs/test_pages.py"],
    "clients.md": ["tests/game/test_clients_page.py"],
    "db-cache.md": ["tests/docs/test_guides.py", "tests/docs/test_pages.py"],
    "meadow.md": ["tests/game/test_meadow_page.py"],
    "migration.md": ["tests/docs/test_guides.py"],
    "operations.md": ["tests/docs/test_pages.py", "tests/game/test_console.py"],
    "protocols.md": ["tests/plugins/firefly_protocols/test_protocols_page.py"],
    "tutorial.md": ["tests/docs/test_tutorial.py"],
}
"""Guides are run by `test_guides.py`, all of them. Blocks without a language are no code."""


def blocks(page: str, kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall((DOCS / page).read_text()) if found == kind]


def test_every_page_with_code_has_a_test_that_runs_it() -> None:
    with_code = {page.name for page in DOCS.glob("*.md") if BLOCK.search(page.read_text())}
    assert with_code == set(RUN_BY)
    for page, tests in RUN_BY.items():
        for test in tests:
            # As a name, or as a path that is put together.
            assert re.search(rf'{re.escape(page)}"|/{re.escape(page)}', (ROOT / test).read_text()), (page, test)


@pytest.mark.parametrize("page", ["channels.md", "operations.md"])
def test_what_a_page_puts_into_firefly_toml_has_no_problems(page: str) -> None:
    [text] = blocks(page, "toml")
    if "[firefly]" not in text:
        text = '[firefly]\nplugins = ["root"]\nsecret = "${FIREFLY_SECRET}"\n' + text
    InProcessCluster(text, environ={"FIREFLY_SECRET": "known to every server of a test!"}).close()


def test_the_makefile_takes_what_the_page_of_the_db_cache_gives_it() -> None:
    [line] = blocks("db-cache.md", "sh")
    makefile = (ROOT / "Makefile").read_text()
    assert line.startswith("make run ")
    for name in re.findall(r"(\w+)=", line):
        assert f"$({name})" in makefile, name
