"""FreshModules: a unit's modules made anew beside those that run, which nobody else sees before `swap`.

While the code of the new modules runs, `sys.modules` (and the attributes by which packages know their modules) show the
new ones to the greenlet that makes them, and the old ones to every other: at each switch of greenlets the view changes.
Sources are compiled anew: a `.pyc` file that is believed for its time and size may be older than the text.
"""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any, Self

from greenlet import getcurrent, settrace

from firefly_core.kernel.reload.code_unit import CodeUnit, digest, is_stable

__all__ = ["FreshModules", "SourceFinder"]

SWITCHES = ("switch", "throw")


class SourceFinder:
    """Finds the modules of a unit for the greenlet that installed it, and reads each from its source file."""

    def __init__(self, unit: CodeUnit) -> None:
        self._unit = unit
        self._greenlet = getcurrent()
        self.digests: dict[str, str] = {}
        """What was read, by module."""
        self.paths: dict[str, str] = {}
        """Where it was read from."""
        self.fixed: dict[str, ModuleType] = {}
        """Modules that stay; a new package knows them as the old one did."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Give how a module of the unit is loaded."""
        if getcurrent() is not self._greenlet or not self._unit.holds(name):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _SourceReader(name, spec.loader.path, self)
        return spec


class _SourceReader(SourceFileLoader):
    """Loads a module from its source, whatever stands in `__pycache__`."""

    def __init__(self, name: str, path: str, finder: SourceFinder) -> None:
        super().__init__(name, path)
        self._finder: SourceFinder | None = finder

    def get_code(self, fullname: str) -> CodeType:
        """Compile the source."""
        path = self.get_filename(fullname)
        data = self.get_data(path)
        if self._finder is not None:
            self._finder.digests[fullname] = digest(data)
            self._finder.paths[fullname] = path
        try:
            return self.source_to_code(data, path)
        except SyntaxError as error:
            if error.lineno is None:  # what is no text at all has no line
                raise ImportError(f"{path}: {error}", name=fullname, path=path) from error
            raise

    def exec_module(self, module: ModuleType) -> None:
        """Run the code; the module's modules that stay are its attributes from the start."""
        finder = self._finder
        if finder is not None:
            for name, fixed in finder.fixed.items():
                parent, _, child = name.rpartition(".")
                if parent == module.__name__:
                    setattr(module, child, fixed)
        super().exec_module(module)
        self._finder = None


class FreshModules:
    """One attempt. As a context manager it shows the new modules to this greenlet; then `swap`, or forget it."""

    def __init__(self, unit: CodeUnit) -> None:
        self._unit = unit
        self.fixed = unit.fixed()
        self.former: dict[str, ModuleType] = {}
        """The modules that run, as everybody else sees them."""
        self.made: dict[str, ModuleType] = {}
        """The new modules, whenever they are not shown."""
        self.finder = SourceFinder(unit)
        self.finder.fixed = self.fixed
        self._before: dict[str, dict[str, Any]] = {}
        """What the packages that stay knew, by their names."""
        self._greenlet = getcurrent()
        self._shown = False
        self._tracer: Any = None

    def __enter__(self) -> Self:
        importlib.invalidate_caches()
        parents = {name.rpartition(".")[0] for name in (*self._unit.packages, *sys.modules)}
        stay = {name: sys.modules[name] for name in parents if name in sys.modules and not self._moves(name)}
        self._before = {name: dict(vars(module)) for name, module in stay.items() if self._has_parts(name)}
        self._show()
        self._tracer = settrace(self._on_switch)
        sys.meta_path.insert(0, self.finder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.meta_path.remove(self.finder)
        settrace(self._tracer)
        self._hide()

    def swap(self) -> None:
        """Put the new modules in the place of the old ones, for everybody; neither yields nor raises."""
        for name, module in self.former.items():
            if name not in self.made:
                del sys.modules[name]
                self._unname(name, module)
        sys.modules.update(self.made)
        for name, module in self.made.items():
            self._name(name, module)
        for path in self.finder.paths.values():
            linecache.cache.pop(path, None)

    # ----------------------------------------------------------------------------------------------------- the view

    def _on_switch(self, event: str, arguments: tuple[Any, Any]) -> None:
        if event in SWITCHES:
            origin, target = arguments
            if origin is self._greenlet:
                self._hide()
            elif target is self._greenlet:
                self._show()
        if self._tracer is not None:
            self._tracer(event, arguments)

    def _show(self) -> None:
        if self._shown:
            return
        self._shown = True
        # Looked for anew each time: the running code may have imported another module of its own meanwhile.
        for name, module in self._others():
            if name in self.former or not is_stable(module):
                self.former[name] = module
                del sys.modules[name]
                self._unname(name, module)
            else:
                self.fixed[name] = module
        sys.modules.update(self.made)
        for name, module in self.made.items():
            self._name(name, module)

    def _hide(self) -> None:
        if not self._shown:
            return
        self._shown = False
        self.made = dict(self._others())
        for name, module in self.made.items():
            del sys.modules[name]
            self._unname(name, module)
        sys.modules.update(self.former)
        for name, module in self.former.items():
            self._name(name, module)

    def _others(self) -> list[tuple[str, ModuleType]]:
        return [(name, module) for name, module in list(sys.modules.items()) if self._moves(name)]

    def _moves(self, name: str) -> bool:
        """Whether a module of that name is made anew."""
        return name not in self.fixed and self._unit.holds(name)

    def _has_parts(self, name: str) -> bool:
        return name in self.fixed or any(package.rpartition(".")[0] == name for package in self._unit.packages)

    def _name(self, name: str, module: ModuleType) -> None:
        """Make a module an attribute of its package, as an import does, where the package stays."""
        package, _, child = name.rpartition(".")
        if package in self._before:
            setattr(sys.modules[package], child, module)

    def _unname(self, name: str, module: ModuleType) -> None:
        package, _, child = name.rpartition(".")
        if package not in self._before or vars(sys.modules[package]).get(child) is not module:
            return
        covered = self._before[package].get(child)
        if covered is None or isinstance(covered, ModuleType):
            delattr(sys.modules[package], child)
        else:
            setattr(sys.modules[package], child, covered)
