"""Misfits: how a rule says that a value does not fit, and which word was perhaps meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

__all__ = ["Misfit", "Misfits", "Tries", "nearest"]


class Misfit(ValueError):
    """A value does not fit: `needs` says what would, `at` where in the value, `hint` which word was perhaps meant.

    `got` replaces the description of the value that stands there; a `secret` value is not described at all.
    """

    def __init__(
        self, needs: str, at: Sequence[str | int] = (), *, hint: str = "", got: str = "", secret: bool = False
    ) -> None:
        super().__init__(f"needs {needs}")
        self.needs = needs
        self.at = tuple(at)
        self.hint = hint
        self.got = got
        self.secret = secret

    def each(self) -> Iterator[Misfit]:
        """Give every single misfit that this one stands for."""
        yield self

    def inside(self, *at: str | int, secret: bool = False) -> Misfit:
        """Give the same misfit, seen from the value that holds this one at `at`; `secret` marks it as such."""
        return Misfit(self.needs, (*at, *self.at), hint=self.hint, got=self.got, secret=self.secret or secret)


class Misfits(Misfit):
    """Several misfits in one value, all to be told."""

    def __init__(self, members: Iterable[Misfit]) -> None:
        self.members = list(members)
        first = self.members[0]
        super().__init__(first.needs, first.at, hint=first.hint, got=first.got, secret=first.secret)

    def each(self) -> Iterator[Misfit]:
        for member in self.members:
            yield from member.each()

    def inside(self, *at: str | int, secret: bool = False) -> Misfit:
        return Misfits(member.inside(*at, secret=secret) for member in self.members)


class Tries:
    """Runs steps that may raise Misfit, one after the other, and raises at the end what any of them raised."""

    def __init__(self) -> None:
        self.misfits: list[Misfit] = []

    def run(self, step: Callable[..., Any], *about: Any, at: Sequence[str | int] = (), secret: bool = False) -> Any:
        """Give what `step(*about)` gives; None when it raised, and its misfit is kept, seen from `at`."""
        try:
            return step(*about)
        except Misfit as misfit:
            self.misfits.append(misfit.inside(*at, secret=secret))
        return None

    def end(self) -> None:
        """Raise Misfits if any step has raised."""
        if self.misfits:
            raise Misfits(self.misfits)


def nearest(word: object, words: Iterable[str]) -> str:
    """Give the word of `words` that was probably meant, or an empty text."""
    if not isinstance(word, str) or len(word) > 100:
        return ""
    known = {name.lower(): name for name in words}
    found = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return known[found[0]] if found else ""
