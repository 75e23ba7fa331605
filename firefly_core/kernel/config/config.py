"""Config classes: the keys of a table of firefly.toml, declared beside the service that reads them.

    @config
    class Config:
        rate: Rate = key(rules.rate(), "messages a session may send; burst is twice that", default="30/s")
        max_frame: int = key(rules.size(1024, 2**24), "largest frame a client may send", default=65536)

Inside the class body a key's name hides a rule of the same name, so import the rules' modules or other names where both
are needed. The same declarations are checked by `firefly-run check` and printed in docs/config.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, dataclass_transform

import attrs

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.config.listen import Listen, listeners
from firefly_core.kernel.config.misfit import Misfit, Misfits, Tries, nearest
from firefly_core.kernel.config.nesting import list_of, map_of, optional
from firefly_core.kernel.config.problems import Path as KeyPath
from firefly_core.kernel.config.problems import Problems
from firefly_core.kernel.config.rate import Rate, rate
from firefly_core.kernel.config.rules import (
    Rule,
    Site,
    boolean,
    choice,
    duration,
    import_path,
    integer,
    number,
    path,
    secret,
    server,
    size,
    text,
)
from firefly_core.kernel.config.url import Url, url

__all__ = [
    "REQUIRED",
    "Key",
    "KiB",
    "Listen",
    "MiB",
    "Misfit",
    "Misfits",
    "Rate",
    "Rule",
    "Site",
    "Url",
    "boolean",
    "build",
    "choice",
    "config",
    "duration",
    "import_path",
    "integer",
    "key",
    "keys",
    "list_of",
    "listeners",
    "map_of",
    "nearest",
    "number",
    "optional",
    "path",
    "rate",
    "read",
    "read_alone",
    "secret",
    "server",
    "size",
    "text",
    "url",
]

KiB = 1024
MiB = 1024 * KiB
MARK = "firefly"


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()
T = TypeVar("T")


@attrs.frozen
class Key:
    """What is known of one key: its name in the file, its rule, its help, its default as it would be written."""

    name: str
    rule: Rule
    help: str
    default: Any
    secret: bool

    @property
    def required(self) -> bool:
        """Whether the file must have it."""
        return self.default is REQUIRED


def key(rule: Rule, help: str, default: Any = REQUIRED, *, secret: bool = False) -> Any:
    """Declare a key of a Config class: its rule, one line of help, and its default as it would stand in the file.

    `default=None` means that the key may be absent. A `secret` is shown in no output. Raises Misfit, while the class is
    made, when the default does not fit the rule.
    """
    hidden = secret or rule.secret
    about = {MARK: (rule, help, default, hidden)}
    display: Any = (lambda value: "None" if value is None else "'***'") if hidden else True
    if default is REQUIRED:
        return attrs.field(metadata=about, repr=display)
    value = None if default is None else rule.parse(default)
    return attrs.field(default=value, metadata=about, repr=display)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(key,))
def config(cls: type[T]) -> type[T]:
    """Make a class of keys: frozen, and built by keywords only."""
    return attrs.frozen(kw_only=True)(cls)


def keys(cls: type) -> dict[str, Key]:
    """Give the keys of a Config class by their names in the file; raises TypeError for what is no Config class."""
    if not isinstance(cls, type) or not attrs.has(cls):
        raise TypeError(f"{cls!r} is not an attrs class made by @config")
    known = {}
    for field in attrs.fields(cls):
        if MARK not in field.metadata:
            raise TypeError(f"{cls.__qualname__}.{field.name} is not made by key(...)")
        name = field.name.rstrip("_")
        known[name] = Key(name, *field.metadata[MARK])
    return known


def read(cls: type[T], table: Mapping[str, Any], site: Site, problems: Problems, at: KeyPath = ()) -> T | None:
    """Build a Config object from a table of the file; notes every problem in `problems` and gives None then."""
    try:
        return build(cls, table, site)
    except Misfit as misfit:
        problems.add_misfit(at, table, misfit)
    return None


def build(cls: type[T], table: Mapping[str, Any], site: Site, others: Iterable[str] = ()) -> T:
    """Build a Config object from a table; raises Misfit for everything in it that does not fit.

    `others` are keys that the table may have for somebody else: named as known, and not looked at.
    """
    known = keys(cls)
    every = (*others, *known)
    tries = Tries()
    tries.misfits += [
        Misfit(f"one of: {', '.join(every) or 'no key'}", (name,), got="an unknown key", hint=nearest(name, every))
        for name in table
        if name not in every
    ]
    values = {}
    for field, entry in zip(attrs.fields(cls), known.values(), strict=True):  # type: ignore[arg-type]
        if entry.name in table:
            step, raw = entry.rule.read, table[entry.name]
        elif entry.required:
            tries.misfits.append(Misfit(entry.rule.needs, (entry.name,), got="nothing"))
            continue
        else:
            step, raw = entry.rule.settle, field.default
        values[field.alias or field.name] = tries.run(step, raw, site, at=(entry.name,), secret=entry.secret)
    tries.end()
    try:
        return cls(**values)
    except Misfit:
        raise
    except ValueError as error:
        raise Misfit(f"a change: {error}", got="values that do not go together") from None


def read_alone(cls: type[T], table: Mapping[str, Any] | None = None, *, folder: Path | None = None) -> T:
    """Build a Config object outside of any firefly.toml, as tests do; raises ConfigurationError with every problem."""
    problems = Problems()
    made = read(cls, table or {}, Site(folder or Path.cwd()), problems)
    problems.raise_any()
    if made is None:
        raise ConfigurationError([f"{cls.__qualname__} cannot be made"])
    return made


def fields_of(made: Any) -> Iterator[tuple[Key, Any]]:
    """Give each key of a Config object with its value."""
    for field, entry in zip(attrs.fields(type(made)), keys(type(made)).values(), strict=True):
        yield entry, getattr(made, field.name)
