"""Plugins: found by entry point, imported only when firefly.toml names them, checked, and called in the file's order.

1. `claims` asks the installed distributions who offers which name
2. each named plugin is imported, within five seconds
3. its FIREFLY_API and its hooks are checked against kernel/hookspecs.py, and it is registered
4. its offers are called once and checked; two plugins that offer the same name are a problem
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from firefly_core.errors import ConfigurationError
from firefly_core.kernel import hookspecs
from firefly_core.kernel.config.misfit import nearest
from firefly_core.kernel.plugins.entry_points import Claim, claims
from firefly_core.kernel.plugins.offers import OFFERS, Offer
from firefly_core.kernel.plugins.plugin_check import hook_problems
from firefly_core.kernel.reload.cut import Raised, cut

if TYPE_CHECKING:
    import click

    from firefly_core.kernel.kernel import Kernel
    from firefly_core.kernel.service import Service
    from firefly_core.wire.codec import Codec
    from firefly_core.wire.protocol import Protocol

__all__ = ["Plugins", "gather", "load_plugins"]

log = logging.getLogger("firefly.plugins")


class Plugins:
    """The loaded plugins of one kernel and what they offer, each by its name."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        """The plugins, in the order in which their hooks are called."""
        self.services: dict[str, type[Service]] = {}
        self.protocols: dict[str, type[Protocol]] = {}
        self.codecs: dict[str, Codec] = {}
        self.caches: dict[str, type[Any]] = {}
        self.failures: dict[str, int] = {}
        """How often each plugin raised in a notice, by the plugin's name."""
        self._distributions: dict[str, str] = {}
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._offered_by: dict[tuple[str, str], str] = {}

    @property
    def hook(self) -> Any:
        """Pluggy's relay: `hook.firefly_route(...)` calls the plugins in the file's order; for decisions."""
        return self._manager.hook

    def distribution_of(self, name: str) -> str:
        """Give the distribution that plugin `name` comes from, as in `firefly-core 0.1.0`."""
        return self._distributions.get(name, "an unknown distribution")

    def provider(self, kind: str, name: str) -> str:
        """Give the plugin that offers `name` among the `kind` "services", "protocols", "codecs" or "caches"."""
        return self._offered_by.get((kind, name), "")

    def module(self, name: str) -> Any:
        """Give the loaded plugin itself."""
        return self._manager.get_plugin(name)

    def hooks_of(self, name: str) -> list[str]:
        """Give the hooks that plugin `name` has, sorted."""
        callers = self._manager.get_hookcallers(self.module(name)) or []
        return sorted(caller.name for caller in callers)

    def calls(self, hook_name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Give each plugin that has the hook, in call order, with a function that takes all the hook's arguments."""
        for implementation in reversed(getattr(self._manager.hook, hook_name).get_hookimpls()):
            yield implementation.plugin_name, _by_keywords(implementation)

    def notify(self, hook_name: str, **arguments: Any) -> None:
        """Tell every plugin a notice; one that raises is logged by name and counted, and the others still hear."""
        for name, call in self.calls(hook_name):
            try:
                call(arguments)
            except (Exception, SystemExit):
                self.failures[name] = self.failures.get(name, 0) + 1
                log.exception("plugin %s (%s) raised in %s", name, self.distribution_of(name), hook_name)

    def started(self, kernel: Kernel) -> None:
        """Tell every plugin that its server has started; raises ConfigurationError naming those that fail at it."""
        problems: list[str] = []
        for _ in self._ask("firefly_started", problems, kernel=kernel):
            pass
        if problems:
            raise ConfigurationError(problems)

    def context(self, kernel: Kernel) -> dict[str, Callable[[Any], Any]]:
        """Give what the plugins add to `ctx`; raises ConfigurationError naming plugin, hook and distribution."""
        from firefly_core.kernel.handlers.context import Context

        merged: dict[str, Callable[[Any], Any]] = {}
        owners: dict[str, str] = {}
        problems: list[str] = []
        for name, offered in self._ask("firefly_context", problems, kernel=kernel):
            where = self._where(name, "firefly_context")
            if not isinstance(offered, Mapping) or not all(callable(value) for value in offered.values()):
                problems.append(f"{where}: needs to return a dict of names to functions")
                continue
            for attribute, function in offered.items():
                if not isinstance(attribute, str) or not attribute.isidentifier():
                    problems.append(f"{where}: offers ctx.{attribute}, which is no name")
                elif hasattr(Context, attribute) or attribute in Context.__annotations__:
                    problems.append(f"{where}: offers ctx.{attribute}, which every ctx has already")
                elif attribute in merged:
                    problems.append(f"{where}: offers ctx.{attribute}, and so does plugin {owners[attribute]!r}")
                merged[attribute] = function
                owners[attribute] = name
        if problems:
            raise ConfigurationError(problems)
        return merged

    def middleware(self, kernel: Kernel) -> list[Callable[..., Any]]:
        """Give the functions that wrap handlers, outermost first; raises ConfigurationError as `context` does."""
        return self._several("firefly_middleware", "a list of functions", callable, kernel=kernel)

    def cli_commands(self) -> list[click.Command]:
        """Give the commands that plugins add to `firefly-run`; raises ConfigurationError as `context` does."""
        import click

        return self._several("firefly_cli", "a list of click commands", lambda item: isinstance(item, click.Command))

    def _several(self, hook: str, needs: str, fits: Callable[[Any], bool], **arguments: Any) -> list[Any]:
        every: list[Any] = []
        problems: list[str] = []
        for name, offered in self._ask(hook, problems, **arguments):
            items = list(offered) if isinstance(offered, Iterable) else [None]
            if not all(fits(item) for item in items):
                problems.append(f"{self._where(name, hook)}: needs to return {needs}")
            every.extend(items)
        if problems:
            raise ConfigurationError(problems)
        return every

    def _ask(self, hook_name: str, problems: list[str], **arguments: Any) -> Iterator[tuple[str, Any]]:
        for name, call in self.calls(hook_name):
            where = self._where(name, hook_name)
            try:
                offered = cut(where, call, arguments)
            except Raised as raised:
                problems.append(f"{where}: {raised}")
                continue
            if offered is not None:
                yield name, offered

    def _where(self, name: str, hook_name: str) -> str:
        return f"plugin {name!r} ({self.distribution_of(name)}), hook {hook_name}"

    def _register(self, loaded: Sequence[tuple[Claim, Any]]) -> None:
        # pluggy calls what was registered last first, the file's order is the call order
        for claim, plugin in reversed(loaded):
            self._manager.register(plugin, name=claim.name)
        self._manager.check_pending()
        self.names = tuple(claim.name for claim, _ in loaded)
        self._distributions = {claim.name: claim.distribution for claim, _ in loaded}

    def _collect(self, offer: Offer, problems: list[str]) -> None:
        into = getattr(self, offer.kind)
        for plugin, items in self._ask(offer.hook, problems):
            where = self._where(plugin, offer.hook)
            try:
                listed: list[Any] | None = cut(where, list, items) if isinstance(items, Iterable) else None
            except Raised as raised:
                problems.append(f"{where}: {raised}")
                continue
            if listed is None or isinstance(items, str | bytes):
                problems.append(f"{where}: needs to return a list of {offer.needs}")
                continue
            for item in listed:
                fault = offer.fault(item)
                if fault:
                    problems.append(f"{where}: {fault}")
                    continue
                name = offer.name_of(item)
                other = self.provider(offer.kind, name)
                if other:
                    theirs = f"plugin {other!r} ({self.distribution_of(other)})"
                    problems.append(f'{where}: offers {offer.one} "{name}", and so does {theirs}')
                    continue
                into[name] = item
                self._offered_by[offer.kind, name] = plugin


def _by_keywords(implementation: Any) -> Callable[[Mapping[str, Any]], Any]:
    function, wanted = implementation.function, implementation.argnames
    return lambda arguments: function(*(arguments[name] for name in wanted))


def _find(names: Sequence[str], problems: list[str]) -> list[Claim]:
    offered = claims(hookspecs.ENTRY_POINTS)
    found = []
    for index, name in enumerate(names):
        if name in names[:index]:
            problems.append(f"plugin {name!r}: is listed twice")
        elif name not in offered:
            meant = nearest(name, offered)
            hint = f'; did you mean "{meant}"?' if meant else ""
            installed = ", ".join(offered) or "none"
            problems.append(f"plugin {name!r}: is not installed; installed are: {installed}{hint}")
        elif len(offered[name]) > 1:
            both = " and ".join(f"{claim.distribution} ({claim.value})" for claim in offered[name])
            problems.append(f"plugin {name!r}: is claimed by {both}; uninstall one")
        else:
            found.append(offered[name][0])
    return found


def _load(claim: Claim, problems: list[str]) -> Any:
    where = f"plugin {claim.name!r} ({claim.distribution})"
    try:
        plugin = cut(where, claim.entry_point.load)
    except Raised as raised:
        problems.append(f"{where}: {claim.value}: {raised}")
        return None
    faults = hook_problems(plugin)
    problems.extend(f"{where}{fault}" for fault in faults)
    return None if faults else plugin


def gather(names: Sequence[str], offers: Iterable[Offer] = OFFERS) -> tuple[Plugins, list[str]]:
    """Load what can be loaded of the named plugins; gives them and every problem found, one line each."""
    problems: list[str] = []
    loaded: list[tuple[Claim, Any]] = []
    for claim in _find(names, problems):
        plugin = _load(claim, problems)
        twin = next((other for other, module in loaded if module is plugin), None)
        if plugin is not None and twin is not None:
            problems.append(f"plugin {claim.name!r} ({claim.distribution}): is the same object as plugin {twin.name!r}")
        elif plugin is not None:
            loaded.append((claim, plugin))
    plugins = Plugins()
    plugins._register(loaded)
    for offer in offers:
        plugins._collect(offer, problems)
    return plugins, problems


def load_plugins(names: Sequence[str], offers: Iterable[Offer] = OFFERS) -> Plugins:
    """Load the named plugins, whose hooks are then called in that order; raises ConfigurationError.

    With no `offers` their services and formats, which take a while to import, are not asked for.
    """
    plugins, problems = gather(names, offers)
    if problems:
        raise ConfigurationError(problems)
    return plugins
