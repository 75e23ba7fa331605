"""TOML lines: on which line each key of a TOML text stands, so that a problem can point at it.

tomllib tells values, not places. This reader looks only at headers and at the keys before `=`; it is given texts that
tomllib has accepted, and where it is in doubt it knows no line rather than a wrong one.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from firefly_core.kernel.problems import Path

__all__ = ["Span", "find_headers", "find_lines", "find_spans"]

Span = tuple[int, int]
"""Where a value begins and ends in the text, in characters."""

NAME = r'(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')'
DOTTED = rf"{NAME}(?:[ \t]*\.[ \t]*{NAME})*"
HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({DOTTED})[ \t]*\]\]?[ \t]*(?:#[^\n]*)?(?:\r?\n|$)")
ASSIGNMENT = re.compile(rf"[ \t]*({DOTTED})[ \t]*=[ \t]*")
TOKEN = re.compile(r'"""|\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}]|\n')


def _path(dotted: str) -> tuple[str, ...]:
    if '"' not in dotted and "'" not in dotted:
        return tuple(part.strip() for part in dotted.split("."))
    inner: Any = tomllib.loads(f"{dotted} = 0")
    path = []
    while isinstance(inner, dict):
        ((name, inner),) = inner.items()
        path.append(name)
    return tuple(path)


def _value_end(text: str, start: int) -> int:
    """Give where the value that begins at `start` ends: before the line break or comment that follows it."""
    depth = 0
    position = start
    while True:
        token = TOKEN.search(text, position)
        if token is None:
            return len(text)
        found = token[0]
        if depth == 0 and (found == "\n" or found.startswith("#")):
            return token.start()
        position = token.end()
        if found in ('"""', "'''"):
            closing = re.compile(r'(?:\\.|[^\\])*?"{3,5}' if found == '"""' else r"[^\0]*?'{3,5}", re.DOTALL)
            match = closing.match(text, position)
            position = match.end() if match else len(text)
        elif found in "[{":
            depth += 1
        elif found in "]}":
            depth -= 1


def _inside(names: tuple[str, ...], counts: dict[Path, int], *, newest: bool) -> Path:
    """Give a header's path with the positions in lists of tables; `newest` begins another table of the list."""
    path: Path = ()
    for index, name in enumerate(names):
        path = (*path, name)
        if newest and index == len(names) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _scan(text: str) -> tuple[dict[Path, int], dict[Path, Span], dict[Path, int]]:
    starts: dict[Path, int] = {}
    headers: dict[Path, int] = {}
    spans: dict[Path, Span] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    position = 0
    while position < len(text):
        header = HEADER.match(text, position)
        if header:
            table = _inside(_path(header[2]), counts, newest=header[1] == "[[")
            headers.setdefault(table, position)
            for length in range(1, len(table) + 1):
                starts.setdefault(table[:length], position)
            position = header.end()
            continue
        assignment = ASSIGNMENT.match(text, position)
        if assignment:
            path = (*table, *_path(assignment[1]))
            starts.setdefault(path, assignment.start(1))
            end = _value_end(text, assignment.end())
            spans.setdefault(path, (assignment.end(), len(text[:end].rstrip()) if end > assignment.end() else end))
            position = end
        line_end = text.find("\n", position)
        position = len(text) if line_end < 0 else line_end + 1
    return starts, spans, headers


def find_lines(text: str) -> dict[Path, int]:
    """Give the line, from 1, of every header and key; keys inside of inline tables and lists have none of their own."""
    starts, _, _ = _scan(text)
    lines = {}
    line, counted = 1, 0
    for path, start in sorted(starts.items(), key=lambda item: item[1]):
        line += text.count("\n", counted, start)
        counted = start
        lines[path] = line
    return lines


def find_spans(text: str) -> dict[Path, Span]:
    """Give where the value of each key stands."""
    return _scan(text)[1]


def find_headers(text: str) -> dict[Path, int]:
    """Give where the header of each table begins, in characters."""
    return _scan(text)[2]
