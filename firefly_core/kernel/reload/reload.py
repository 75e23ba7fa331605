"""Reload: a server's code is made anew while the server runs; either all of it or nothing.

1. a throw-away process imports the new sources and collects their handlers (rehearsal.py); what fails there is told
2. here they are imported into new modules that nobody else sees (fresh_modules.py), within four seconds
3. handlers are collected; they must not break what callers rely on (handler_changes.py), nor define what must stay
4. services prepare their tables for the new handlers (`Kernel.on_reload`); a fault so far leaves all as it was
5. in one step that does not yield, modules, handlers, tables and timers are swapped
6. peers and plugins are told

Commands that run or wait end on the code that they began with; `ctx.state` is the same object before and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.handlers.handlers import Handler, HandlerTable, collect
from firefly_core.kernel.reload.code_unit import digest, digests_on_disk, unit_of
from firefly_core.kernel.reload.code_version import CodeVersion
from firefly_core.kernel.reload.cut import Raised, cut
from firefly_core.kernel.reload.fresh_modules import FreshModules
from firefly_core.kernel.reload.handler_changes import broken_promises, shape_of
from firefly_core.kernel.reload.rehearsal import Rehearsal, rehearse
from firefly_core.kernel.reload.reload_report import ReloadReport
from firefly_core.kernel.reload.unit_import import CRASHED, LIMIT, import_unit, place_of

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel

__all__ = ["Prepare", "Reload"]

FRESH = 30.0
"""Seconds for which a rehearsal holds, as long as the sources are the same."""

Prepare = Callable[[HandlerTable], Callable[[], None]]
"""Makes what a service needs of new handlers, or raises; what it gives puts that in force, at once and surely."""


@attrs.frozen
class _Attempt:
    """New code that is whole and not yet in force."""

    fresh: FreshModules
    handlers: HandlerTable
    callables: dict[Handler, Callable[..., Any]]
    commits: Sequence[Callable[[], None]]


class Reload:
    """The code of one server: its version, and how it is made anew."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        declared = kernel.declaration
        plugins = (getattr(kernel.plugins.module(name), "__name__", "") for name in kernel.plugins.names)
        self.unit = unit_of(declared.handlers, declared.reload, declared.stable, plugins)
        self._digests = digests_on_disk(self.unit.loaded())
        """What the running modules were read from."""
        self._rehearsal = Rehearsal()
        self._rehearsed = float("-inf")
        self._busy = False
        self.version = CodeVersion.of(self._digests, kernel.clock.time())

    def reload(self, *, dry_run: bool = False, force: bool = False) -> ReloadReport:
        """Make the code anew, or with `dry_run` only see whether it could be; blocks for a second or so.

        `force`: although callers would be refused with what they send today.
        """
        kernel = self._kernel
        if self._busy:
            return ReloadReport(problems=(f"{kernel.name}: a reload is under way",))
        if not kernel.serving:
            return ReloadReport(problems=(f"{kernel.name} is not ready, or about to stop",))
        if not self.unit.handlers:
            return ReloadReport(notes=(f"{kernel.name} has no modules of handlers",))
        self._busy = True
        try:
            return self._reload(dry_run=dry_run, force=force)
        except OSError as error:
            return ReloadReport(problems=(f"{kernel.name}: the code cannot be tried: {error}",))
        finally:
            self._busy = False

    def _reload(self, *, dry_run: bool, force: bool) -> ReloadReport:
        rehearsal = self._rehearse()
        problems = rehearsal.problems or tuple(self._objections(rehearsal, force=force))
        if problems or dry_run:
            return self._refused(rehearsal, problems)
        if not self._kernel.serving:
            return ReloadReport(problems=(f"{self._kernel.name} is about to stop",))
        began = time.perf_counter()
        try:
            attempt = self._attempt(rehearsal)
        except ConfigurationError as error:
            return self._refused(rehearsal, tuple(error.problems))
        report = self._report(rehearsal, made=len(attempt.fresh.made))
        # From here to the end of _swap nothing yields: nobody sees half of it.
        self._swap(attempt)
        report = attrs.evolve(report, taken=True, seconds=round(time.perf_counter() - began, 4))
        self._tell(report)
        return report

    # ------------------------------------------------------------------------------------------------------- trying

    def _rehearse(self) -> Rehearsal:
        last, now = self._rehearsal, self._kernel.clock.monotonic()
        if last.digests and now - self._rehearsed < FRESH and _digests(last.paths) == last.digests:
            return last
        unit = self.unit
        others = sorted(name for name in unit.loaded() if unit.holds(name) and name not in unit.handlers)
        self._rehearsal, self._rehearsed = rehearse(unit, others), now
        return self._rehearsal

    def _objections(self, rehearsal: Rehearsal, *, force: bool) -> Iterator[str]:
        """Give what speaks against code that is right by itself."""
        fixed = self.unit.fixed()
        for name in rehearsal.defines:
            if name not in fixed:
                yield f"{rehearsal.paths.get(name, name)}: module {name!r} defines a model: a restart is needed"
        if not force:
            for problem in broken_promises(shape_of(self._kernel.handlers), rehearsal.shape):
                yield f"{problem}; a restart takes it, and so does a reload by force"

    def _attempt(self, rehearsal: Rehearsal) -> _Attempt:
        """Make everything new; raises ConfigurationError, and then nothing is other than it was."""
        kernel, fresh = self._kernel, FreshModules(self.unit)

        def make() -> _Attempt:
            # All of it where the new modules can be seen: annotations are looked up by the name of their module.
            others = sorted(fresh.former)
            table = collect(import_unit(self.unit, others, fresh.finder.paths.values()))
            if not fresh.finder.digests.items() <= rehearsal.digests.items():
                raise ConfigurationError(["the sources have changed since they were tried; reload again"])
            callables = {handler: kernel.wrapped(handler) for handler in table}
            return _Attempt(fresh, table, callables, [prepare(table) for prepare in kernel.on_reload])

        with fresh:
            try:
                return cut("a reload", make, limit=2 * LIMIT, status=CRASHED)
            except Raised as raised:
                if isinstance(raised.__cause__, ConfigurationError):
                    raise raised.__cause__ from None
                place = place_of(raised, fresh.finder.paths.values())
                raise ConfigurationError([f"{place or self._kernel.name}: {raised}"]) from None

    # ----------------------------------------------------------------------------------------------------- swapping

    def _swap(self, attempt: _Attempt) -> None:
        kernel = self._kernel
        attempt.fresh.swap()
        kernel.take_handlers(attempt.handlers, attempt.callables)
        for commit in attempt.commits:
            commit()
        kept = {name: self._digests[name] for name in attempt.fresh.fixed if name in self._digests}
        self._digests = {**kept, **attempt.fresh.finder.digests}
        self.version = CodeVersion.of(self._digests, kernel.clock.time(), self.version.reloads + 1)

    def _tell(self, report: ReloadReport) -> None:
        kernel = self._kernel
        kernel.mesh.announce()
        kernel.plugins.notify("firefly_reloaded", kernel=kernel)
        kernel.log.info(
            "code %s is in force: %s modules in %.3f s, changed: %s",
            self.version.hash,
            report.made,
            report.seconds,
            ", ".join(report.changed) or "none",
        )
        for name in report.restart:
            kernel.log.warning("%s has changed and stays as it was: a restart is needed", name)
        for note in report.notes:
            kernel.log.warning("%s", note)

    def _refused(self, rehearsal: Rehearsal, problems: tuple[str, ...]) -> ReloadReport:
        for problem in problems:
            self._kernel.log.error("the code stays as it is: %s", problem)
        return self._report(rehearsal, problems=problems)

    def _report(self, rehearsal: Rehearsal, *, problems: tuple[str, ...] = (), made: int = 0) -> ReloadReport:
        fixed = self.unit.fixed()
        read = rehearsal.digests or self._digests
        now = {**read, **digests_on_disk(fixed)}
        changed = sorted(name for name in now.keys() | self._digests.keys() if now.get(name) != self._digests.get(name))
        return ReloadReport(
            problems=problems,
            made=made,
            changed=tuple(name for name in changed if name not in fixed),
            restart=tuple(name for name in changed if name in fixed),
            notes=tuple(self._notes(changed)),
        )

    def _notes(self, changed: Sequence[str]) -> Iterator[str]:
        kept = type(self._kernel.state)
        if kept.__module__ in changed and self.unit.holds(kept.__module__):
            yield f"ctx.state stays the {kept.__qualname__} that it is: its methods are the old ones until a restart"


def _digests(paths: Mapping[str, str]) -> dict[str, str]:
    """Give the digests of files as they are now, by the same keys; "" for those that cannot be read."""
    found = {}
    for name, path in paths.items():
        try:
            found[name] = digest(Path(path).read_bytes())
        except OSError:
            found[name] = ""
    return found
