"""Document: firefly.toml as one tree of plain values, with what the environment and the flags put above it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from firefly_core.kernel.config import problems as report
from firefly_core.kernel.config.environment import Override, assignments, place, substitute, variables
from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.problems import Problems
from firefly_core.kernel.config.rules import Rule
from firefly_core.kernel.config.toml_file import parse, read_text
from firefly_core.kernel.config.toml_lines import find_lines

__all__ = ["Document"]


class Document:
    """The values that count: flags above environment above file; and where each of them was written."""

    def __init__(self, name: str, text: str, raw: dict[str, Any]) -> None:
        self.name = name
        self.text = text
        self.raw = raw
        """What stands in the file."""
        self.values = raw
        """What counts: `${NAME}` is replaced, and environment and flags have been put above the file."""
        self.written: dict[report.Path, str] = {}
        """The texts that `${NAME}` was replaced in, as they stand in the file."""
        self.sources: dict[report.Path, str] = {}
        """The variables or flags that values come from, where it is not the file."""
        self._lines: dict[report.Path, int] | None = None

    def source(self, path: report.Path) -> tuple[str, int]:
        """Give where a value comes from: the file and its line, or the variable or flag and 0."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.sources:
                return self.sources[path[:length]], 0
        if self._lines is None:
            self._lines = find_lines(self.text)
        if path and path not in self._lines:
            made_by = next((source for other, source in self.sources.items() if other[: len(path)] == path), None)
            if made_by is not None:
                return made_by, 0
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self.name, self._lines[path[:length]]
        return self.name, 0

    def shown(self) -> dict[str, Any]:
        """Give the values with `${NAME}` as it was written, for output."""
        shown = copy.deepcopy(self.values)
        for path, text in self.written.items():
            inner: Any = shown
            for part in path[:-1]:
                inner = inner[part]
            inner[path[-1]] = text
        return shown

    def _put(self, override: Override, problems: Problems) -> None:
        try:
            place(self.values, override.path, override.value)
        except Misfit as misfit:
            problems.add(misfit.at, f"{override.source} sets a key inside of it, but it is no table")
            return
        depth = len(override.path)
        self.written = {path: text for path, text in self.written.items() if path[:depth] != override.path}
        self.sources[override.path] = override.source


def open_document(
    path: Path,
    environ: Mapping[str, str],
    overrides: Sequence[str],
    rules: Mapping[str, Rule],
    problems: Problems,
    *,
    text: str | None = None,
) -> Document:
    """Read the file and what stands above it; `rules` are those of [firefly], which have variables of their own.

    `text` is read instead of the file's own.

    Raises ConfigurationError when there is no document at all, and notes every lesser problem in `problems`.
    """
    text = read_text(path) if text is None else text
    document = Document(str(path), text, parse(text, str(path)))
    problems.file = document.name
    problems.source = document.source
    problems.written = lambda at: document.written.get(at, report.MISSING)
    document.values = substitute(document.raw, environ, problems, document.written)
    for override in variables(environ, rules, problems):
        document._put(override, problems)
    for override in assignments(list(overrides), "--set", problems):
        document._put(override, problems)
    return document
