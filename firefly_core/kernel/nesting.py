"""Rules that hold other rules: lists, tables of any keys, and keys that may be absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from firefly_core.kernel.misfit import Misfit, Misfits
from firefly_core.kernel.rules import Rule, Site

__all__ = ["list_of", "map_of", "optional"]


def _all(pairs: Iterable[tuple[str | int, Any]], step: Callable[[Any], Any]) -> list[tuple[Any, Any]]:
    done: list[tuple[Any, Any]] = []
    misfits: list[Misfit] = []
    for at, value in pairs:
        try:
            done.append((at, step(value)))
        except Misfit as misfit:
            misfits.append(misfit.inside(at))
    if misfits:
        raise Misfits(misfits)
    return done


class _Container(Rule):
    __slots__ = ("rule",)

    def __init__(self, needs: str, parse: Callable[[Any], Any], rule: Rule) -> None:
        super().__init__(needs, parse)
        self.rule = rule

    @property
    def secret(self) -> bool:  # type: ignore[override]
        return self.rule.secret


class _List(_Container):
    __slots__ = ()

    def settle(self, value: Any, site: Site) -> Any:
        if value is None:
            return None
        return tuple(item for _, item in _all(enumerate(value), lambda item: self.rule.settle(item, site)))


def list_of(rule: Rule, *, low: int = 0, high: int = 1024) -> Rule:
    """Accept a list of `low` to `high` values that fit `rule`; gives a tuple."""
    needs = f"a list, each {rule.needs}" if low == 0 else f"a list of at least {low}, each {rule.needs}"

    def parse(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or len(value) < low:
            raise Misfit(needs)
        if len(value) > high:
            raise Misfit(f"a list of at most {high}")
        return tuple(item for _, item in _all(enumerate(value), rule.parse))

    return _List(needs, parse, rule)


class _Map(_Container):
    __slots__ = ()

    def settle(self, value: Any, site: Site) -> Any:
        return None if value is None else dict(_all(value.items(), lambda item: self.rule.settle(item, site)))


def map_of(rule: Rule, *, high: int = 1024) -> Rule:
    """Accept a table of any keys whose values fit `rule`; gives a dict."""
    needs = f"a table, each value {rule.needs}"

    def parse(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or len(value) > high:
            raise Misfit(needs)
        return dict(_all(value.items(), rule.parse))

    return _Map(needs, parse, rule)


class _Optional(_Container):
    __slots__ = ()

    def settle(self, value: Any, site: Site) -> Any:
        return None if value is None else self.rule.settle(value, site)


def optional(rule: Rule) -> Rule:
    """Accept what `rule` accepts; use it with `default=None` for a key that may be absent."""
    return _Optional(rule.needs, lambda value: None if value is None else rule.parse(value), rule)


def inner_rule(rule: Rule) -> Rule:
    """Give the rule inside of `optional(...)`, or the rule itself."""
    return rule.rule if isinstance(rule, _Optional) else rule
