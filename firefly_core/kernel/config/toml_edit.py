"""TOML edit: set one key in a TOML text and leave every other character as it is, comments and all."""

from __future__ import annotations

import copy
from typing import Any

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.environment import place
from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.problems import Path, spell
from firefly_core.kernel.config.toml_file import key_text, parse, same, value_text
from firefly_core.kernel.config.toml_lines import find_headers, find_spans

__all__ = ["set_key"]


def set_key(text: str, path: Path, value: Any, name: str) -> str:
    """Give `text` with the key at `path` set to `value`; `name` is the file's, for problems.

    Raises ConfigurationError when the changed text would not mean exactly the old values and the new one.
    """
    before = parse(text, name)
    wanted = copy.deepcopy(before)
    try:
        place(wanted, path, value)
    except Misfit as misfit:
        raise ConfigurationError([f"{name}: {spell(misfit.at)}: is no table, so {spell(path)} cannot be set"]) from None
    changed = _replace(text, path, wanted)
    if changed is None:
        changed = _insert(text, path, value)
    try:
        fits = same(parse(changed, name), wanted)
    except ConfigurationError:
        fits = False
    if not fits:
        raise ConfigurationError([f"{name}: {spell(path)} cannot be set without changing other lines; edit the file"])
    return changed


def _replace(text: str, path: Path, wanted: Any) -> str | None:
    """Write the new value over the old one, or over the inline table that the key is part of."""
    spans = find_spans(text)
    for length in range(len(path), 0, -1):
        if path[:length] in spans:
            start, end = spans[path[:length]]
            for part in path[:length]:
                wanted = wanted[part]
            return text[:start] + value_text(wanted) + text[end:]
    return None


def _insert(text: str, path: Path, value: Any) -> str:
    """Write a line for the key at the end of its table, or a new table at the end of the text."""
    newline = "\r\n" if "\r\n" in text else "\n"
    line = f"{key_text(str(path[-1]))} = {value_text(value)}{newline}"
    table = path[:-1]
    headers = find_headers(text)
    if table in headers or not table:
        at = _table_end(text, headers.get(table, 0), sorted(headers.values()))
        gap = "" if at == 0 or text[at - 1] == "\n" else newline
        return text[:at] + gap + line + text[at:]
    header = ".".join(key_text(str(part)) for part in table)
    body = text.rstrip()
    gap = newline * 2 if body else ""
    return f"{body}{gap}[{header}]{newline}{line}"


def _table_end(text: str, start: int, headers: list[int]) -> int:
    """Give where the lines of the table that begins at `start` end, before blank lines and comments that follow."""
    end = next((other for other in headers if other > start), len(text))
    first = text.find("\n", start, end) + 1 or end
    if not headers or start not in headers:
        first = 0
    values = [span[1] for span in find_spans(text).values() if start <= span[0] < end]
    last = max(values, default=first)
    if last <= first:
        return first
    after = text.find("\n", last)
    return len(text) if after < 0 else after + 1
