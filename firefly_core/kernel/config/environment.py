"""Environment: `${NAME}` in the file's texts, and the variables and flags that stand above the file."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.misfit import Misfit
from firefly_core.kernel.config.problems import Path, Problems
from firefly_core.kernel.config.rules import Rule

__all__ = ["Override", "key_path", "misspelt", "place", "substitute", "value_of", "variables"]

PREFIX = "FIREFLY_"
SET = "FIREFLY_SET"
REFERENCE = re.compile(r"\$\$|\$\{([^{}]*)(\}?)")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@attrs.frozen
class Override:
    """A value that stands above the file's, and where it came from."""

    path: Path
    value: Any = attrs.field(repr=False)
    source: str


def _expand(text: str, environ: Mapping[str, str], path: Path, problems: Problems) -> str:
    before = len(problems.found)

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if match[0] == "$$":
            return "$"
        if not match[2] or not NAME.fullmatch(name):
            problems.add(path, "${NAME} with the name of an environment variable, or $$ for a dollar", got=match[0])
            return ""
        value = environ.get(name)
        if value is None:
            problems.add(path, f"the environment variable {name}, which is not set", got=match[0])
        elif not value.strip():
            problems.add(path, f"the environment variable {name}, which is empty", got=match[0])
        elif value != value.strip():
            needs = f"the environment variable {name} without the blank or line break that it begins or ends with"
            problems.add(path, needs, got=match[0])
        return value or ""

    expanded = REFERENCE.sub(replace, text) if "$" in text else text
    if len(problems.found) > before:
        problems.told.add(path)
    return expanded


def substitute(
    value: Any, environ: Mapping[str, str], problems: Problems, written: dict[Path, str], path: Path = ()
) -> Any:
    """Give `value` with every `${NAME}` replaced; notes in `written` what the changed texts looked like."""
    if isinstance(value, str):
        expanded = _expand(value, environ, path, problems)
        if expanded != value:
            written[path] = value
        return expanded
    if isinstance(value, dict):
        return {name: substitute(item, environ, problems, written, (*path, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [substitute(item, environ, problems, written, (*path, index)) for index, item in enumerate(value)]
    return value


def key_path(text: str) -> Path:
    """Take a dotted key apart as TOML does; raises ConfigurationError."""
    try:
        if not text.strip() or re.search(r"[\n\r=#\[\]{}]", text):
            raise ValueError
        table = tomllib.loads(f"{text} = 0")
    except ValueError:
        raise ConfigurationError([f"{text!r} is not a key; needs a dotted one, as in servers.gate.gate.rate"]) from None
    path: list[str] = []
    inner: Any = table
    while isinstance(inner, dict):
        ((name, inner),) = inner.items()
        path.append(name)
    return tuple(path)


def value_of(text: str) -> Any:
    """Give what a text means as a value of TOML, or the text itself when it is none."""
    if "\n" not in text:
        try:
            table = tomllib.loads(f"value = {text}")
        except (ValueError, RecursionError):
            return text
        if len(table) == 1:
            return table["value"]
    return text


def assignments(lines: list[str], source: str, problems: Problems) -> Iterator[Override]:
    """Read `KEY=VALUE` texts; notes in `problems` those that are none."""
    for line in lines:
        key, equals, value = line.partition("=")
        try:
            if not equals:
                # not shown: it may hold a secret
                raise ConfigurationError([f"a text of {len(line)} characters without =; needs the form KEY=VALUE"])
            yield Override(key_path(key), value_of(value.strip()), source)
        except ConfigurationError as error:
            problems.add((), str(error), file=source)


def variables(environ: Mapping[str, str], rules: Mapping[str, Rule], problems: Problems) -> Iterator[Override]:
    """Read FIREFLY_<KEY> for each key of [firefly], and FIREFLY_SET, one KEY=VALUE a line."""
    for name, rule in rules.items():
        variable = PREFIX + name.upper()
        if variable not in environ:
            continue
        text = environ[variable]
        if not text.strip() or text != text.strip():
            how = "is empty" if not text.strip() else "begins or ends with a blank or a line break"
            problems.add((), f"the environment variable {how}", file=variable)
            continue
        try:
            rule.parse(text)
            value: Any = text
        except Misfit:
            value = value_of(text)
        yield Override(("firefly", name), value, variable)
    lines = [line for line in environ.get(SET, "").splitlines() if line.strip()]
    yield from assignments(lines, SET, problems)


def misspelt(environ: Mapping[str, str], names: Iterable[str]) -> Iterator[str]:
    """Give a warning for every variable that is nearly one of Firefly's, and therefore does nothing."""
    known = [SET.removeprefix(PREFIX), *(name.upper() for name in names)]
    for variable in sorted(environ):
        word = variable.removeprefix(PREFIX)
        if word == variable or word in known:
            continue
        meant = difflib.get_close_matches(word, known, n=1, cutoff=0.8)
        if meant:
            yield f"{variable}: is no variable of Firefly; did you mean {PREFIX}{meant[0]}?"


def place(document: dict[str, Any], path: Path, value: Any) -> None:
    """Set a value in nested tables, making the tables that are missing; raises Misfit where no table stands."""
    table = document
    for index, part in enumerate(path[:-1]):
        inner = table.setdefault(str(part), {})
        if not isinstance(inner, dict):
            raise Misfit("a table", path[: index + 1])
        table = inner
    table[str(path[-1])] = value
