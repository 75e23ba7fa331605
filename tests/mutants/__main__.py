"""Plant each bug of `mutants.py` into a copy of the tree and run its tests there: `python -m tests.mutants [NAME ...]`.

The working tree is only read. First the tests of all mutants must pass in the untouched copy; then each is planted
alone, and its tests must fail, or not come to an end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("firefly_core", "plugins", "example_game", "tests", "docs", "pyproject.toml", "firefly.toml")
PASSED, FAILED = 0, 1
BASELINE_TIMEOUT, TIMEOUT = 900, 120
HANG = 20
"""Seconds after which one test hangs."""


def copy_tree(folder: Path) -> None:
    """Copy what the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.jpg", "node_modules")
            )
        else:
            shutil.copy2(source, folder / name)


def run_tests(folder: Path, tests: list[str], timeout: float) -> int | None:
    """Run tests in the copy, of which this process's own modules know nothing; None: they did not come to an end."""
    environ = {**os.environ, "PYTHONPATH": f"{folder}:{folder / 'plugins'}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", f"--timeout={HANG}", *tests]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=output)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None
        if status not in (PASSED, FAILED):
            # pytest-timeout ends the whole process where a test hangs; anything else is a fault of the list.
            output.seek(0)
            text = output.read().decode(errors="replace")
            if "Timeout" not in text:
                raise click.ClickException(f"pytest ended with {status}:\n{text[-3000:]}")
        return status


def check_copy(folder: Path) -> None:
    """Raise ClickException where the copy's tests would test another tree."""
    ask = "import firefly_core, firefly_gate; print(firefly_core.__file__, firefly_gate.__file__)"
    environ = {**os.environ, "PYTHONPATH": f"{folder}:{folder / 'plugins'}"}
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    if any(not path.startswith(str(folder)) for path in done.stdout.split()):
        raise click.ClickException(f"the tests would not see the copy: {done.stdout}")


def is_caught(folder: Path, mutant: Mutant) -> bool:
    """Plant a mutant, run its tests, and take it out again."""
    file = folder / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        raise click.ClickException(f"{mutant.name}: {mutant.file} has {mutant.old!r} {text.count(mutant.old)} times")
    file.write_text(text.replace(mutant.old, mutant.new))
    try:
        return run_tests(folder, list(mutant.tests), TIMEOUT) != PASSED
    finally:
        file.write_text(text)


@click.command()
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Plant the mutants NAMES, all without names, and say of each whether its tests caught it."""
    known = {mutant.name: mutant for mutant in MUTANTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(f"no mutant {', '.join(unknown)}; there are {', '.join(known)}")
    mutants = [known[name] for name in names or known]
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name).resolve()
        copy_tree(folder)
        check_copy(folder)
        tests = sorted({test for mutant in mutants for test in mutant.tests})
        if run_tests(folder, tests, BASELINE_TIMEOUT) != PASSED:
            raise click.ClickException("the tests fail without any mutant")
        caught = 0
        for mutant in mutants:
            begin = time.monotonic()
            noticed = is_caught(folder, mutant)
            caught += noticed
            word = "caught" if noticed else "NOT CAUGHT"
            click.echo(f"{mutant.name:20} {word:11} {time.monotonic() - begin:5.1f} s  {mutant.breaks}")
    click.echo(f"{caught} of {len(mutants)} caught")
    sys.exit(caught != len(mutants))


if __name__ == "__main__":
    main()
