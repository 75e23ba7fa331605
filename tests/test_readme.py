"""The README does what it says: its commands run, its code runs, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
RUN = f"{sys.executable} -m firefly_core.run"


def sh(command: str, folder: Path) -> str:
    """Run a line of the README as it stands, with `firefly-run` from this checkout."""
    # What `make test ARGS=...` was told is not for the make that is asked here.
    kept = {name: value for name, value in os.environ.items() if name not in ("ARGS", "MAKEFLAGS", "MFLAGS")}
    environ = {**kept, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}
    ended = subprocess.run(
        command.replace("firefly-run", RUN), shell=True, cwd=folder, env=environ, capture_output=True, text=True
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def commands_of(number: int) -> list[str]:
    return [block for kind, block in BLOCKS if kind == "sh"][number].splitlines()


def test_five_minutes_go_as_the_page_says(tmp_path: Path) -> None:
    folder = tmp_path
    for line in commands_of(2):
        if line.startswith("cd "):
            folder = folder / line.removeprefix("cd ")
        else:
            sh(line, folder)
    for kind, code in BLOCKS:
        if kind == "python":
            name = re.match(r"# (\S+)\n", code)
            assert name is not None, code
            file = folder / name[1]
            file.write_text((file.read_text() if file.exists() else "") + "\n\n" + code)
    assert "wave" in sh("firefly-run commands", folder)
    for line in commands_of(3):
        assert " passed" in sh(line, folder)


def test_the_commands_in_the_text_run(tmp_path: Path) -> None:
    sh("firefly-run init demo", tmp_path)
    said = re.findall(r"`(firefly-run [^`]+)`", README)
    assert len(said) >= 4
    for command in said:
        sh(command, tmp_path / "demo")


@pytest.mark.parametrize("number", [0, 1])
def test_the_two_commands_are_targets_of_the_makefile(number: int) -> None:
    [line] = commands_of(number)
    planned = sh(f"{line} --dry-run --no-print-directory", ROOT)
    assert {"make run": "firefly-run", "make test": ".ci/tests"}[line] in planned.replace(RUN, "firefly-run")


def test_the_ci_runs_the_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -eu" in script
    planned = sh("sh -c 'make check --dry-run --no-print-directory'", ROOT)
    assert ".ci/tests" in planned
    assert "pytest" in (ROOT / ".ci" / "tests").read_text()


def test_the_firefly_toml_on_the_page_has_no_problems(tmp_path: Path) -> None:
    [declaration] = [block for kind, block in BLOCKS if kind == "toml"]
    tomllib.loads(declaration)
    sh("firefly-run init demo", tmp_path)
    (tmp_path / "demo" / "firefly.toml").write_text(declaration)
    assert "no problems" in sh("firefly-run check", tmp_path / "demo")


@pytest.mark.parametrize(
    "page", sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
)
def test_every_link_leads_somewhere(page: str) -> None:
    file = ROOT / page
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", file.read_text()):
        assert (file.parent / target).exists(), f"{page}: {target}"
