"""Rules that hold other rules: lists, tables of any keys, and keys that may be absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from firefly_core.kernel.config.misfit import Misfit, Tries
from firefly_core.kernel.config.rules import Rule, Site

__all__ = ["list_of", "map_of", "optional"]


def _all(pairs: Iterable[tuple[str | int, Any]], step: Callable[..., Any], *about: Any) -> list[tuple[Any, Any]]:
    """Give each key with what the step makes of its value; raises the misfits of all of them together."""
    tries = Tries()
    done = [(at, tries.run(step, value, *about, at=(at,))) for at, value in pairs]
    tries.end()
    return done


class _Container(Rule):
    """A rule around another one; `_pairs` gives the keys and values of what holds them, `_kind` puts them together."""

    __slots__ = ("_kind", "_pairs", "rule")

    def __init__(
        self, needs: str, pairs: Callable[[Any], Iterable[tuple[Any, Any]]], kind: Callable[[Any], Any], rule: Rule
    ) -> None:
        super().__init__(needs, lambda value: kind(_all(pairs(value), rule.parse)))
        self._pairs = pairs
        self._kind = kind
        self.rule = rule

    @property
    def secret(self) -> bool:  # type: ignore[override]
        return self.rule.secret

    def settle(self, value: Any, site: Site) -> Any:
        return None if value is None else self._kind(_all(self._pairs(value), self.rule.settle, site))

    def read(self, value: Any, site: Site) -> Any:
        return self._kind(_all(self._pairs(value), self.rule.read, site))


def list_of(rule: Rule, *, low: int = 0, high: int = 1024) -> Rule:
    """Accept a list of `low` to `high` values that fit `rule`; gives a tuple."""
    needs = f"a list, each {rule.needs}" if low == 0 else f"a list of at least {low}, each {rule.needs}"

    def pairs(value: Any) -> Iterable[tuple[int, Any]]:
        if not isinstance(value, list | tuple) or len(value) < low:
            raise Misfit(needs)
        if len(value) > high:
            raise Misfit(f"a list of at most {high}")
        return enumerate(value)

    return _Container(needs, pairs, lambda done: tuple(value for _, value in done), rule)


def map_of(rule: Rule, *, high: int = 1024) -> Rule:
    """Accept a table of any keys whose values fit `rule`; gives a dict."""
    needs = f"a table, each value {rule.needs}"

    def pairs(value: Any) -> Iterable[tuple[str, Any]]:
        if not isinstance(value, Mapping) or len(value) > high:
            raise Misfit(needs)
        return value.items()

    return _Container(needs, pairs, dict, rule)


class _Optional(Rule):
    __slots__ = ("rule",)

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.needs, lambda value: None if value is None else rule.parse(value))
        self.rule = rule

    @property
    def secret(self) -> bool:  # type: ignore[override]
        return self.rule.secret

    def settle(self, value: Any, site: Site) -> Any:
        return None if value is None else self.rule.settle(value, site)

    def read(self, value: Any, site: Site) -> Any:
        return None if value is None else self.rule.read(value, site)


def optional(rule: Rule) -> Rule:
    """Accept what `rule` accepts; use it with `default=None` for a key that may be absent."""
    return _Optional(rule)


def inner_rule(rule: Rule) -> Rule:
    """Give the rule inside of `optional(...)`, or the rule itself."""
    return rule.rule if isinstance(rule, _Optional) else rule
