"""Plugin check: whether a module's FIREFLY_API and hooks are what kernel/hookspecs.py asks for, all faults at once."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pluggy

from firefly_core.kernel import hookspecs
from firefly_core.kernel.config.misfit import nearest

__all__ = ["hook_problems"]

ORDERING = ("tryfirst", "trylast", "wrapper", "hookwrapper", "optionalhook")


def specifications() -> dict[str, tuple[str, ...]]:
    """Give the names of all hooks with the names of their arguments."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    known = {}
    for name in dir(hookspecs):
        if manager.parse_hookspec_opts(hookspecs, name) is not None:
            known[name] = tuple(inspect.signature(getattr(hookspecs, name)).parameters)
    return known


def hook_problems(plugin: Any) -> list[str]:
    """Give everything that is wrong with a plugin object, each text fit to follow the plugin's name."""
    known = specifications()
    problems = list(_api(plugin))
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    found = False
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is not None:
            found = True
            hook = options.get("specname") or name
            problems.extend(_hook(plugin, name, hook, known))
            given = [option for option in ORDERING if options.get(option)]
            if given:
                problems.append(
                    f", hook {name}: {', '.join(given)} cannot be used; the order of firefly.toml is the call order"
                )
        elif name in known and inspect.isfunction(getattr(plugin, name, None)):
            problems.append(f", hook {name}: is not marked with @hookimpl")
    if not found and not problems:
        problems.append(": has no hook; mark its functions with @hookimpl")
    return problems


def _api(plugin: Any) -> Iterator[str]:
    version = getattr(plugin, "FIREFLY_API", None)
    if version is None:
        yield f": says no FIREFLY_API; needs FIREFLY_API = {hookspecs.FIREFLY_API}"
    elif type(version) is not int or version != hookspecs.FIREFLY_API:
        yield f": FIREFLY_API is {version!r}; this Firefly needs {hookspecs.FIREFLY_API}"


def _hook(plugin: Any, name: str, hook: str, known: dict[str, tuple[str, ...]]) -> Iterator[str]:
    if hook not in known:
        meant = nearest(hook, known)
        hint = f'; did you mean "{meant}"?' if meant else ""
        yield f", hook {hook}: there is no such hook{hint}"
        return
    function = getattr(plugin, name)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        yield f", hook {hook}: is async; hooks are plain functions"
    for argument, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL, parameter.KEYWORD_ONLY):
            yield f", hook {hook}: argument {argument} needs to be a plain one"
        elif argument not in known[hook] and parameter.default is parameter.empty:
            meant = nearest(argument, known[hook])
            hint = f'; did you mean "{meant}"?' if meant else ""
            takes = ", ".join(known[hook]) or "no argument"
            yield f", hook {hook}: takes no argument {argument}; it is called with: {takes}{hint}"
