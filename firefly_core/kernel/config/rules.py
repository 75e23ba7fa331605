"""Rules: what a value of firefly.toml may be, said once for the checker, for people and for docs/config.md.

A rule is used as `key(rule(...), "help", default=...)` in a Config class. It never coerces: `true` is not a number,
`"5"` is not 5, and nan is nothing at all.
"""

from __future__ import annotations

import keyword
import math
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from firefly_core.kernel.config.misfit import Misfit, nearest

if TYPE_CHECKING:
    from firefly_core.kernel.plugins.entry_points import Claim
    from firefly_core.kernel.plugins.plugins import Plugins

__all__ = [
    "Rule",
    "Site",
    "boolean",
    "choice",
    "duration",
    "import_path",
    "integer",
    "number",
    "path",
    "secret",
    "server",
    "size",
    "text",
]

YEAR = 366 * 86400.0
MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@attrs.frozen
class Site:
    """Where a configuration stands: what a rule may look at once the whole file is read."""

    folder: Path
    """The folder of firefly.toml, which relative paths are meant from."""
    servers: Collection[str] = ()
    """The servers that the file declares."""
    plugins: Plugins | None = None
    handlers: Mapping[str, Sequence[Claim]] = attrs.field(factory=dict)
    """Who claims which name in entry point group firefly.handlers."""
    complete: bool = True
    """Whether every plugin could be loaded; where not, an unknown word may be one of a plugin that failed."""


class Rule:
    """What a value may be: `needs` in words, `parse` in code."""

    __slots__ = ("_parse", "needs")

    secret = False
    """Whether values must not be shown."""

    def __init__(self, needs: str, parse: Callable[[Any], Any]) -> None:
        self.needs = needs
        self._parse = parse

    def parse(self, value: Any) -> Any:
        """Turn what stands in the file into the value that the service sees; raises Misfit."""
        return self._parse(value)

    def settle(self, value: Any, site: Site) -> Any:  # noqa: ARG002
        """Turn a parsed value into its last form, now that the rest of the file is known; raises Misfit."""
        return value

    def read(self, value: Any, site: Site) -> Any:
        """Do both; a rule of several values does both for each, so that one misfit hides no other."""
        return self.settle(self.parse(value), site)


def boolean() -> Rule:
    """Accept `true` or `false`."""

    def parse(value: Any) -> bool:
        if value is True or value is False:
            return bool(value)
        raise Misfit(needs)

    needs = "true or false"
    return Rule(needs, parse)


def _span(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f" of at most {_plain(high)}"
    return f" of at least {_plain(low)}" if high is None else f" from {_plain(low)} to {_plain(high)}"


def _plain(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)


def _ranged(needs: str, low: float | None, high: float | None, *, whole: bool) -> Rule:
    def parse(value: Any) -> Any:
        fits = isinstance(value, int) and not isinstance(value, bool)
        if not whole:
            fits = fits or (isinstance(value, float) and math.isfinite(value))
        if not fits or (low is not None and value < low) or (high is not None and value > high):
            raise Misfit(needs)
        return value if whole else float(value)

    return Rule(needs, parse)


def integer(low: int | None = None, high: int | None = 2**63 - 1) -> Rule:
    """Accept a whole number from `low` to `high`."""
    return _ranged("an integer" + _span(low, None if high == 2**63 - 1 else high), low, high, whole=True)


def number(low: float | None = None, high: float | None = 1e300) -> Rule:
    """Accept a finite number from `low` to `high`; gives a float."""
    return _ranged("a number" + _span(low, None if high == 1e300 else high), low, high, whole=False)


def duration(low: float = 0.0, high: float = YEAR) -> Rule:
    """Accept seconds, whole or not, from `low` to `high`; gives a float."""
    span = _span(low, None) if high == YEAR else _span(low, high)
    return _ranged(f"a duration in seconds{span}", low, high, whole=False)


def size(low: int = 0, high: int = 2**40) -> Rule:
    """Accept a size in bytes from `low` to `high`."""
    return _ranged("a size in bytes" + _span(low, high), low, high, whole=True)


def _printable(value: str) -> bool:
    return all(character.isprintable() for character in value)


def text(max: int = 1000, pattern: str | None = None, *, empty: bool = False) -> Rule:
    """Accept a text of at most `max` characters, without control characters, that matches the whole `pattern`."""
    kind = f"a text of at most {max} characters" if empty else f"a text of 1 to {max} characters"
    needs = kind if pattern is None else f"{kind} that matches {pattern}"
    compiled = None if pattern is None else re.compile(pattern)

    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value) > max or not (value or empty) or not _printable(value):
            raise Misfit(needs)
        if compiled is not None and compiled.fullmatch(value) is None:
            raise Misfit(needs)
        return value

    return Rule(needs, parse)


def choice(*names: str) -> Rule:
    """Accept one of `names`."""
    needs = "one of " + ", ".join(f'"{name}"' for name in names)

    def parse(value: Any) -> str:
        if isinstance(value, str) and value in names:
            return value
        raise Misfit(needs, hint=nearest(value, names))

    return Rule(needs, parse)


class _Secret(Rule):
    __slots__ = ()
    secret = True


def secret(low: int = 16) -> Rule:
    """Accept a text of `low` to 1,024 printable characters that no output shows."""
    needs = f"a secret of {low} to 1024 printable characters, best as ${{NAME}} from the environment"

    def parse(value: Any) -> str:
        if isinstance(value, str) and low <= len(value) <= 1024 and _printable(value) and value == value.strip():
            return value
        raise Misfit(needs)

    return _Secret(needs, parse)


class _Path(Rule):
    __slots__ = ()

    def settle(self, value: Any, site: Site) -> Any:
        return None if value is None else Path(os.path.normpath(site.folder / value))


def path() -> Rule:
    """Accept the path of a file or folder; a relative one is meant from the folder of firefly.toml."""
    needs = "the path of a file or folder"

    def parse(value: Any) -> Path:
        if isinstance(value, str | Path) and 0 < len(str(value)) <= 4096 and _printable(str(value)):
            return Path(value)
        raise Misfit(needs)

    return _Path(needs, parse)


def import_path() -> Rule:
    """Accept the dotted name of a module, as in `game.world`."""
    needs = "the import path of a module, as in game.world"

    def parse(value: Any) -> str:
        if isinstance(value, str) and len(value) <= 200 and MODULE.fullmatch(value):
            parts = value.split(".")
            if not any(keyword.iskeyword(part) for part in parts):
                return value
        raise Misfit(needs)

    return Rule(needs, parse)


class _Server(Rule):
    __slots__ = ()

    def settle(self, value: Any, site: Site) -> Any:
        if value is not None and value not in site.servers:
            known = ", ".join(sorted(site.servers)[:20]) or "none"
            raise Misfit(f"the name of a server of this file ({known})", hint=nearest(value, site.servers))
        return value


def server() -> Rule:
    """Accept the name of a server that the file declares."""
    needs = "the name of a server of this file"

    def parse(value: Any) -> str:
        if isinstance(value, str) and value:
            return value
        raise Misfit(needs)

    return _Server(needs, parse)
