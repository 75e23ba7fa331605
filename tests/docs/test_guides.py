"""Every guide is a small game: its files are written as they stand on the page, checked, and its tests are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|toml))\n")
OTHERS = [ROOT / "docs" / "migration.md", ROOT / "docs" / "db-cache.md"]
GAMES = [page for page in [*GUIDES, *OTHERS] if "# firefly.toml" in page.read_text()]
PACKAGE = ROOT / "tests" / "assets" / "thirdparty_plugin"
"""What the guide to plugins quotes; `tests/test_thirdparty_plugin.py` builds, installs and plays it."""


class Guide:
    """One page, followed in a folder of its own. Blocks that begin with the same file's name belong together."""

    def __init__(self, page: Path, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, str] = {}
        self.sessions: list[str] = []
        """What a terminal shows: lines that begin with `$`, and what comes of them."""
        for kind, text in BLOCK.findall(page.read_text()):
            if kind == "console":
                self.sessions.append(text)
                continue
            if kind == "sh":  # `test_pages.py` knows who runs those
                continue
            named = FILE.match(text)
            assert named, f"{page.name}: a block without its file's name: {text[:60]!r}"
            self.files[named[1]] = self.files.get(named[1], "") + text
        for name, text in self.files.items():
            (folder / name).write_text(text)
        if "pyproject.toml" in self.files:
            self.install(tomllib.loads(self.files["pyproject.toml"])["project"])

    def install(self, project: dict[str, Any]) -> None:
        """Do what `pip install -e .` would: say which distribution there is, and its entry points."""
        info = self.folder / f"{project['name']}-{project['version']}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        lines = []
        for group, points in project["entry-points"].items():
            lines += [f"[{group}]", *(f"{name} = {module}" for name, module in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")

    def run(self, *arguments: str) -> str:
        environ = {**os.environ, "PYTHONPATH": f"{self.folder}:{ROOT}:{ROOT / 'plugins'}"}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(params=GAMES, ids=lambda page: page.stem)
def guide(request: pytest.FixtureRequest, tmp_path: Path) -> Guide:
    return Guide(request.param, tmp_path)


def test_a_guides_game_has_no_problems_and_its_tests_pass(guide: Guide) -> None:
    guide.run("-m", "firefly_core.run", "check")
    tests = [name for name in guide.files if name.startswith("test_")]
    wanted = sum(len(re.findall(r"^def test_", guide.files[name], re.MULTILINE)) for name in tests)
    assert wanted > 0
    said = guide.run(
        "-m", "pytest", "-q", "-W", "error", "-p", "firefly_core.testing", "-p", "no:cacheprovider", *tests
    )
    passed = re.search(r"(\d+) passed", said)
    assert passed is not None
    assert int(passed[1]) >= wanted


def test_what_a_guides_terminal_shows_is_what_happens(guide: Guide) -> None:
    for session in guide.sessions:
        for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
            program, *arguments = command.split()
            assert program == "firefly-run"
            said = guide.run("-m", "firefly_core.run", *arguments)
            # Where its output goes into a pipe, columns are divided by tabs.
            assert [line.split() for line in said.splitlines()] == [line.split() for line in output.splitlines()]


def test_what_the_guide_to_plugins_quotes_stands_in_the_package() -> None:
    quoted = BLOCK.findall((ROOT / "docs" / "guides" / "plugins.md").read_text())
    assert quoted
    for _, text in quoted:
        name, rest = re.match(r"# (\S+)\n(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        assert rest in (PACKAGE / name).read_text(), name


def test_every_guide_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    assert [page.name for page in GUIDES if f"(guides/{page.name})" not in index] == []


@pytest.mark.parametrize("page", [*GUIDES, ROOT / "docs" / "index.md", ROOT / "docs" / "migration.md"], ids=str)
def test_every_link_of_a_guide_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in slugs, f"{target}#{anchor}"
