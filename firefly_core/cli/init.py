"""`firefly-run init NAME`: a new game in a new folder, which runs and passes its own test."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import click

__all__ = ["init"]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
RENAMED = {"gitignore": ".gitignore"}


@click.command()
@click.argument("name", type=click.Path(path_type=Path))
def init(name: Path) -> None:
    """Make a new game in the folder NAME, which must be new or empty.

    It has a commented firefly.toml, a module of handlers, tests of them, and a Makefile.
    """
    folder = name
    if not NAME.fullmatch(folder.name):
        raise click.UsageError("NAME begins with a letter and has at most 32 of A-Z, a-z, 0-9, - and _.")
    try:
        if folder.exists() and any(folder.iterdir()):
            raise click.UsageError(f"{folder} exists and is not empty.")
        for path, text in _texts():
            target = folder / RENAMED.get(path.name, str(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_filled(text, folder.name), encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{folder} cannot be written: {error.strerror or error}.") from error
    click.echo(f"{folder} is ready. Next:\n\n    cd {shlex.quote(str(folder))}\n    make test\n    make run\n")


def _texts() -> Iterator[tuple[PurePosixPath, str]]:
    def walk(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.is_dir() and entry.name != "__pycache__":
                yield from walk(entry, path / entry.name)
            elif entry.is_file():
                yield path / entry.name, entry.read_text(encoding="utf-8")

    return walk(files("firefly_core.cli") / "template", PurePosixPath())


def _filled(text: str, name: str) -> str:
    # In a Makefile a dollar begins a variable.
    python = shlex.quote(sys.executable).replace("$", "$$")
    return text.replace("@NAME@", name).replace("@PYTHON@", python)
