"""Secrets: kept out of every output, taken from a file that nobody else may read, and warned about when in clear."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from firefly_core.kernel.config.config import Misfit, fields_of, secret
from firefly_core.kernel.config.document import Document
from firefly_core.kernel.config.listen import Listen
from firefly_core.kernel.config.nesting import inner_rule
from firefly_core.kernel.config.problems import Path, Problems, spell
from firefly_core.kernel.config.sections import FireflyConfig
from firefly_core.kernel.config.table import Table
from firefly_core.kernel.config.url import Url

if TYPE_CHECKING:
    from firefly_core.kernel.config.cluster import Server

__all__ = ["HIDDEN", "clear_secrets", "mask", "secret_of_file"]

HIDDEN = "***"


def secret_of_file(firefly: FireflyConfig, problems: Problems) -> FireflyConfig:
    """Take `secret` from `secret_file`, where one is named; notes in `problems` why it cannot be had."""
    file = firefly.secret_file
    if file is None:
        if firefly.old_secret is not None and firefly.secret is None:
            problems.add(("firefly", "old_secret"), "a secret beside it, which is the new one", got="only the old one")
        return firefly
    at: Path = ("firefly", "secret_file")
    if firefly.secret is not None:
        problems.add(at, "either secret or secret_file, not both", got="both")
        return firefly
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode) or mode & 0o077:
                problems.add(at, "a file that only its owner may read (chmod 600)", got=f"mode {stat.S_IMODE(mode):o}")
                return firefly
            value = opened.read(4096).decode().strip()
        evolved: Any = firefly
        return attrs.evolve(evolved, secret=secret().parse(value))  # type: ignore[no-any-return]
    except OSError as error:
        problems.add(at, "a file that can be read", got=f"{file}: {error.strerror}")
    except (UnicodeDecodeError, Misfit):
        problems.add(at, f"a file that holds {secret().needs.partition(',')[0]}", got="something else, not shown")
    return firefly


def _walk(made: Any, at: Path) -> Iterator[tuple[Path, Any, bool]]:
    """Give the path of every key of a Config object with its value and whether it is secret, listeners' keys too."""
    for entry, value in fields_of(made):
        path = (*at, entry.name)
        yield path, value, entry.secret
        if isinstance(inner_rule(entry.rule), Table):
            yield from _walk(value, path)
        items = value if isinstance(value, tuple) else ()
        for index, item in enumerate(items):
            if isinstance(item, Listen):
                for inner in (item.own, item.settings):
                    if inner is not None:
                        yield from _walk(inner, (*path, index))


def _configs(firefly: Any, servers: Mapping[str, Server]) -> Iterator[tuple[Path, Any]]:
    yield ("firefly",), firefly
    for server in servers.values():
        for name, made in server.services.items():
            yield ("servers", server.name, name), made


def _lookup(tree: Any, path: Path) -> tuple[Any, Any]:
    """Give what holds the value at `path` and its key there; a listener that stands alone has no position."""
    holder, key = None, None
    inner = tree
    for part in path:
        if isinstance(part, int) and not isinstance(inner, list):
            continue
        try:
            holder, key, inner = inner, part, inner[part]
        except (LookupError, TypeError):
            return None, None
    return holder, key


def clear_secrets(document: Document, firefly: FireflyConfig, servers: Mapping[str, Server]) -> Iterator[str]:
    """Give a warning for every secret that stands in the file itself."""
    for at, made in _configs(firefly, servers):
        for path, value, hidden in _walk(made, at):
            holder, key = _lookup(document.raw, path)
            raw = None if holder is None else holder[key]
            if not isinstance(raw, str) or path in document.written or path in document.sources:
                continue
            if hidden or (isinstance(value, Url) and value.password):
                file, line = document.source(path)
                where = f"{file}:{line}: {spell(path)}"
                yield f"{where}: a secret stands in the file; take it from the environment, as ${{NAME}}"


def mask(document: Document, firefly: FireflyConfig, servers: Mapping[str, Server]) -> dict[str, Any]:
    """Give the values that count, fit to be shown: `${NAME}` as it was written, and every secret hidden."""
    shown = document.shown()
    for at, made in _configs(firefly, servers):
        for path, value, hidden in _walk(made, at):
            holder, key = _lookup(shown, path)
            if holder is None or path in document.written:
                continue
            if hidden:
                holder[key] = HIDDEN
            elif isinstance(value, Url) and value.password:
                holder[key] = str(value)
    return shown
