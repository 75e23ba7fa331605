"""TOML lines: on which line each key of a TOML text stands, so that a problem can point at it.

tomllib tells values, not places. This reader looks only at where things begin and end; it is given texts that tomllib
has accepted, and what it takes for a value is left to tomllib.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from firefly_core.kernel.config.problems import Path

__all__ = ["Span", "find_headers", "find_lines", "find_spans"]

Span = tuple[int, int]
"""Where a value begins and ends in the text, in characters."""

NAME = r'(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')'
DOTTED = rf"{NAME}(?:[ \t]*\.[ \t]*{NAME})*"
HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({DOTTED})[ \t]*\]\]?[ \t]*(?:#[^\n]*)?(?:\r?\n|$)")
ASSIGNMENT = re.compile(rf"[ \t]*({DOTTED})[ \t]*=[ \t]*")
BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''(?:(?!''')[\s\S])*'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'", re.DOTALL
)
BARE = re.compile(r"[^,\]}#\r\n]*[^,\]}#\s]")


def _path(dotted: str) -> tuple[str, ...]:
    if '"' not in dotted and "'" not in dotted:
        return tuple(part.strip() for part in dotted.split("."))
    inner: Any = tomllib.loads(f"{dotted} = 0")
    path = []
    while isinstance(inner, dict):
        ((name, inner),) = inner.items()
        path.append(name)
    return tuple(path)


class _Scan:
    """One walk through a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts: dict[Path, int] = {}
        self.spans: dict[Path, Span] = {}
        self.headers: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._walk()

    def _walk(self) -> None:
        table: Path = ()
        position = 0
        while (position := self._skip(position)) < len(self.text):
            if header := HEADER.match(self.text, position):
                table = self._header(header)
                position = header.end()
            elif assignment := ASSIGNMENT.match(self.text, position):
                position = self._assignment(assignment, table)
            else:
                return  # no TOML: what was found so far is right all the same

    def _skip(self, position: int) -> int:
        blank = BLANK.match(self.text, position)
        return blank.end() if blank else position

    def _header(self, header: re.Match[str]) -> Path:
        """Note a header; gives its path with the positions in lists of tables, `[[...]]` begins another table."""
        names = _path(header[2])
        path: Path = ()
        for index, name in enumerate(names):
            path = (*path, name)
            self.starts.setdefault(path, header.start())
            if header[1] == "[[" and index == len(names) - 1:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        self.starts.setdefault(path, header.start())
        self.headers.setdefault(path, header.start())
        return path

    def _assignment(self, assignment: re.Match[str], table: Path) -> int:
        names = _path(assignment[1])
        for length in range(1, len(names) + 1):
            self.starts.setdefault((*table, *names[:length]), assignment.start(1))
        path = (*table, *names)
        end = self._value(assignment.end(), path)
        self.spans.setdefault(path, (assignment.end(), end))
        return end

    def _value(self, position: int, path: Path) -> int:
        """Walk over the value that begins at `position`; gives where it ends."""
        opening = self.text[position : position + 1]
        if opening == "[":
            return self._list(position + 1, path)
        if opening == "{":
            return self._table(position + 1, path)
        value = (STRING if opening in ("'", '"') else BARE).match(self.text, position)
        return value.end() if value else len(self.text)

    def _list(self, position: int, path: Path) -> int:
        index = 0
        while (position := self._skip(position)) < len(self.text):
            if self.text[position] == "]":
                return position + 1
            if self.text[position] == ",":
                position += 1
                continue
            self.starts.setdefault((*path, index), position)
            position = self._value(position, (*path, index))
            index += 1
        return position

    def _table(self, position: int, path: Path) -> int:
        while (position := self._skip(position)) < len(self.text):
            if self.text[position] == "}":
                return position + 1
            assignment = ASSIGNMENT.match(self.text, position)
            position = self._assignment(assignment, path) if assignment else position + 1
        return position


def find_lines(text: str) -> dict[Path, int]:
    """Give the line, from 1, of every header, key and item of a list."""
    lines = {}
    line, counted = 1, 0
    for path, start in sorted(_Scan(text).starts.items(), key=lambda item: item[1]):
        line += text.count("\n", counted, start)
        counted = start
        lines[path] = line
    return lines


def find_spans(text: str) -> dict[Path, Span]:
    """Give where the value of each key stands, those in inline tables too."""
    return _Scan(text).spans


def find_headers(text: str) -> dict[Path, int]:
    """Give where the header of each table begins, in characters."""
    return _Scan(text).headers
