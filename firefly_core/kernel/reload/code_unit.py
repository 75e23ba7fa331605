"""CodeUnit: which modules a reload makes anew, and what their sources are.

Everything under the packages of the unit is made anew, but for what is stable: modules that firefly.toml names in
`stable`, modules that define a class with `__firefly_stable__ = True` (rows and tables, say, are known elsewhere by the
class), and what was not loaded from a source file.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from importlib.machinery import NamespaceLoader, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

__all__ = ["STABLE", "CodeUnit", "defines_stable", "digest", "digests_on_disk", "is_stable", "source_of", "unit_of"]

STABLE = "__firefly_stable__"
"""A class with this attribute set to true keeps the module that defines it from being made anew."""


@attrs.frozen
class CodeUnit:
    """The modules of one server's code, by name."""

    handlers: tuple[str, ...]
    """The modules of handlers, in the order in which they are imported."""
    packages: frozenset[str]
    """Packages, with everything in them, and single modules."""
    stable: frozenset[str] = frozenset()
    """The same, for what a reload never touches."""

    def holds(self, name: str) -> bool:
        """Whether a module of that name may be made anew."""
        return _within(name, self.packages) and not _within(name, self.stable)

    def owns(self, name: str) -> bool:
        """Whether a module of that name is of this unit at all, stable or not."""
        return _within(name, self.packages) or _within(name, self.stable)

    def loaded(self) -> dict[str, ModuleType]:
        """Give the modules of this unit that are loaded, stable ones too."""
        return {name: module for name, module in list(sys.modules.items()) if self.owns(name)}

    def fixed(self) -> dict[str, ModuleType]:
        """Give those of the loaded modules that a reload leaves as they are."""
        return {name: module for name, module in self.loaded().items() if not self.holds(name) or is_stable(module)}


def _within(name: str, packages: frozenset[str]) -> bool:
    while name:
        if name in packages:
            return True
        name = name.rpartition(".")[0]
    return False


def unit_of(
    handlers: Iterable[str], packages: Iterable[str], stable: Iterable[str], plugins: Iterable[str]
) -> CodeUnit:
    """Give a server's unit; without `packages` it is the handlers' own top-level packages.

    `plugins` are the modules of plugins. A handler module that lives in a plugin's package is taken alone: the plugin
    itself, which the kernel holds, stays as it is.
    """
    modules = tuple(handlers)
    apart = {name.partition(".")[0] for name in plugins}
    tops = {name: name.partition(".")[0] for name in modules}
    chosen = frozenset(packages) or frozenset(name if top in apart else top for name, top in tops.items())
    return CodeUnit(modules, chosen, frozenset(stable))


def is_stable(module: ModuleType) -> bool:
    """Whether a loaded module says that it must not be made anew, or cannot be."""
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    if not isinstance(loader, SourceFileLoader | NamespaceLoader):
        return True
    return defines_stable(module)


def defines_stable(module: ModuleType) -> bool:
    """Whether a module defines a class that must stay the one that it is."""
    values: list[Any] = list(vars(module).values())
    return any(
        isinstance(value, type) and value.__module__ == module.__name__ and getattr(value, STABLE, False)
        for value in values
    )


def source_of(module: ModuleType) -> str | None:
    """Give the path of a module's source file; None where there is none."""
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    return loader.path if isinstance(loader, SourceFileLoader) else None


def digest(source: bytes) -> str:
    """Give what stands for the text of a source file."""
    return hashlib.sha256(source).hexdigest()


def digests_on_disk(modules: Mapping[str, ModuleType]) -> dict[str, str]:
    """Give the digests of the source files as they are now, by module; "" where a file cannot be read."""
    found = {}
    for name, module in modules.items():
        path = source_of(module)
        if path is not None:
            try:
                found[name] = digest(Path(path).read_bytes())
            except OSError:
                found[name] = ""
    return found
