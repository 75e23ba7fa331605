"""Routes: the mark `@route`, and what the marks of the game's modules amount to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any, TypeVar

import attrs

from firefly_core.errors import ConfigurationError

__all__ = ["METHODS", "Route", "collect_routes", "route"]

MARK = "__firefly_routes__"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
Function = TypeVar("Function", bound=Callable[..., Any])


def route(rule: str, *, methods: Sequence[str] = ("GET",)) -> Callable[[Function], Function]:
    """Mark `function(ctx, request, **parts)` to answer HTTP requests for `rule`, written as Flask writes it.

    `request` is Flask's; the parts are those of the rule (`"/hello/<name>"`). The function may return text (HTML),
    bytes, a Flask response, or a dict, list or attrs object, which are sent as JSON; None is an empty answer. `Refuse`
    is told to the client as `{"error": {code, message}}` with status 400. GET answers HEAD too.
    """

    def decorate(function: Function) -> Function:
        marks = (*getattr(function, MARK, ()), (rule, methods))
        setattr(function, MARK, marks)
        return function

    return decorate


@attrs.frozen(eq=False)
class Route:
    """One marked function."""

    rule: str
    methods: tuple[str, ...]
    function: Any
    source: str
    """Where it stands, as `file:line`."""

    @property
    def name(self) -> str:
        """The function's name, for logs."""
        return str(self.function.__name__)


def collect_routes(modules: Iterable[ModuleType]) -> list[Route]:
    """Read the marks in `modules`; raises ConfigurationError with every problem, each with file and line."""
    routes: list[Route] = []
    problems: list[str] = []
    for module in modules:
        marked = [value for value in vars(module).values() if callable(value) and bool(getattr(value, MARK, None))]
        if not marked:
            problems.append(f"{module.__name__}: no routes in it; mark a function with @route")
        for function in dict.fromkeys(marked):
            for rule, methods in getattr(function, MARK):
                found, fault = _read(function, rule, methods)
                if found is not None and found not in routes:
                    fault = _clash(found, routes)
                    routes.append(found)
                if fault:
                    problems.append(f"{_where(function)}: @route {function.__name__}: {fault}")
    if problems:
        raise ConfigurationError(problems)
    return routes


def _read(function: Any, rule: Any, methods: Any) -> tuple[Route | None, str]:
    """Give the route, or what is wrong with it."""
    fault = _wrong_rule(rule) or _wrong_methods(methods) or _wrong_function(function, rule)
    return (None, fault) if fault else (Route(rule, tuple(methods), function, _where(function)), "")


def _wrong_rule(rule: Any) -> str:
    from werkzeug.routing import Map, Rule

    if not isinstance(rule, str) or not rule.startswith("/") or len(rule) > 1000 or not rule.isprintable():
        return f"{rule!r} is not a path that begins with a slash"
    try:
        Map([Rule(rule)])
    except (ValueError, LookupError) as error:
        return f"{rule!r} cannot be read: {error}"
    return ""


def _wrong_methods(methods: Any) -> str:
    if isinstance(methods, list | tuple) and methods and all(method in METHODS for method in methods):
        return ""
    return f"methods {methods!r}: a list of {', '.join(sorted(METHODS))}"


def _wrong_function(function: Any, rule: str) -> str:
    from werkzeug.routing import Map, Rule

    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(inspect.unwrap(function)):
        return "it is async or a generator; a route is a plain function that returns its answer"
    (parsed,) = Map([Rule(rule)]).iter_rules()
    try:
        inspect.signature(function).bind(None, None, **dict.fromkeys(parsed.arguments))
    except TypeError as error:
        parts = "".join(f", {part}" for part in sorted(parsed.arguments))
        return f"it must take (ctx, request{parts}): {error}"
    return ""


def _clash(found: Route, routes: Iterable[Route]) -> str:
    for other in routes:
        if other.rule == found.rule and set(other.methods) & set(found.methods):
            return f"{found.rule!r} is taken by {other.name} at {other.source}"
    return ""


def _where(function: Any) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)
