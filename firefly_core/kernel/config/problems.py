"""Problems: everything that is wrong with what the user declared, collected to be told at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.misfit import Misfit

__all__ = ["Path", "Problem", "Problems", "describe", "spell"]

Path = tuple[str | int, ...]
"""Keys and list positions, from the top of the file to a value."""

MISSING = object()
PASSWORD = re.compile(r"(://[^/\s:@]*:)[^\s@]*@")
BARE = re.compile(r"[A-Za-z0-9_-]+")


def quoted(value: str, limit: int = 60) -> str:
    """Give a text in double quotes, escaped and cut to `limit` characters, fit for one line of any terminal."""
    value = PASSWORD.sub(r"\1***@", value)
    shown = value if len(value) <= limit else value[: limit - 3] + "..."
    plain = json.dumps(shown, ensure_ascii=False)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in plain)


def spell(path: Sequence[str | int]) -> str:
    """Write a key path as TOML would: `servers.gate.gate.listen[1].url`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            out += ("." if out else "") + (part if BARE.fullmatch(part) and len(part) <= 60 else quoted(part))
    return out


def describe(value: Any) -> str:
    """Say in a few words what a value is; never more than one short line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case Mapping():
            return f"a table of {len(value)} keys"
        case list() | tuple():
            return f"a list of {len(value)}"
        case None:
            return "nothing"
    if value is MISSING:
        return "nothing"
    if isinstance(value, int) and abs(value) >= 10**40:
        return "an integer of more than 40 digits"
    return str(value)[:60]


@attrs.frozen(kw_only=True)
class Problem:
    """One thing that is wrong: where it stands, what was got, what is needed, which word was perhaps meant."""

    file: str
    path: Path = ()
    line: int = 0
    got: str = ""
    needs: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        where = f"{place}: {spell(self.path)}" if self.path else place
        what = f"got {self.got}; needs {self.needs}" if self.got else self.needs
        meant = f'; did you mean "{self.hint}"?' if self.hint else ""
        return f"{where}: {what}{meant}"


class Problems:
    """Collects problems while a configuration is read.

    `source` tells for a key path which file (or flag, or variable) it came from and on which line it stands;
    `written` gives a value as it was written, so that what came from the environment is never shown.
    """

    def __init__(self, file: str = "firefly.toml") -> None:
        self.file = file
        self.found: list[Problem] = []
        self.told: set[Path] = set()
        """Paths whose values cannot be had, as was said already; misfits there are not worth a second line."""
        self.source: Callable[[Path], tuple[str, int]] = lambda _: (file, 0)
        self.written: Callable[[Path], Any] = lambda _: MISSING

    def __bool__(self) -> bool:
        return bool(self.found)

    def add(self, path: Path, needs: str, *, got: str = "", hint: str = "", file: str = "") -> None:
        """Note a problem at `path`; without `got`, `needs` is a whole sentence. `file`: where, when not in the file."""
        file, line = (file, 0) if file else self.source(path)
        self.found.append(Problem(file=file, line=line, path=path, got=got, needs=needs, hint=hint))

    def add_misfit(self, path: Path, value: Any, misfit: Misfit) -> None:
        """Note everything that `misfit` says about the `value` at `path`."""
        for single in misfit.each():
            at, inner = _walk(path, value, single.at)
            if at not in self.told:
                self.add(at, single.needs, got=single.got or self._got(at, inner, single.secret), hint=single.hint)

    def _got(self, at: Path, value: Any, secret: bool) -> str:
        if secret and isinstance(value, str):
            return f"a text of {len(value)} characters, not shown"
        if secret and value is not MISSING:
            return "something else, not shown"
        written = self.written(at)
        if written is not MISSING and isinstance(value, str):
            return f"{quoted(written)} with what the environment says"
        return describe(value)

    def texts(self) -> list[str]:
        """Give every problem as one line, in the order in which they stand in the file, each once."""
        ordered = sorted(self.found, key=lambda problem: (problem.file != self.file, problem.line))
        return list(dict.fromkeys(map(str, ordered)))

    def raise_any(self) -> None:
        """Raise ConfigurationError with everything that was found, if anything was."""
        if self.found:
            raise ConfigurationError(self.texts())


def _walk(path: Path, value: Any, inside: Path) -> tuple[Path, Any]:
    """Give the path of what stands `inside` of the value at `path`, and that; MISSING where nothing does."""
    for part in inside:
        if isinstance(part, int) and not isinstance(value, list | tuple):
            continue  # a value that stands alone where a list may stand has no position
        path = (*path, part)
        try:
            value = value[part]
        except (LookupError, TypeError):
            value = MISSING
    return path, value
