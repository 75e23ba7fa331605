"""docs/hooks.md, made from the hook specifications by `make docs`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from firefly_core.kernel import hookspecs

__all__ = ["hooks_page"]

INTRODUCTION = """\
# Hooks

Every hook that a plugin may have. This page is made from `firefly_core/kernel/hookspecs.py` by `make docs`.

A plugin is a module that an entry point in group `firefly.plugins` names. It says `FIREFLY_API = 1` and marks functions
with `firefly_core.hookimpl`; a function may leave out arguments it does not need. Plugins are called in the order of
`plugins` in firefly.toml. One that cannot be loaded, or that offers no such thing, keeps all from starting (78).

"""
KINDS = {
    "Offers": "Called once when a server is configured; they return named classes or functions.",
    "Decisions": "The first answer that is not None counts. One that raises ends that command `internal`.",
    "Notices": "Told to every plugin. One that raises is logged by name and counted, and the others still hear.",
}


def hooks_page() -> str:
    """Give the page."""
    parts = [INTRODUCTION]
    for kind, about in KINDS.items():
        parts.append(f"## {kind}\n\n{about}\n\n")
        parts.extend(_entry(hook) for hook in _hooks() if _kind(hook) == kind)
    return "".join(parts).rstrip() + "\n"


def _hooks() -> Iterator[Callable[..., Any]]:
    for name, function in vars(hookspecs).items():
        if name.startswith("firefly_") and callable(function):
            yield function


def _kind(hook: Callable[..., Any]) -> str:
    if getattr(hook, f"{hookspecs.PROJECT}_spec")["firstresult"]:
        return "Decisions"
    return "Notices" if inspect.signature(hook).return_annotation in ("None", None) else "Offers"


def _entry(hook: Callable[..., Any]) -> str:
    signature = str(inspect.signature(hook)).replace("'", "")
    return f"### {hook.__name__}\n\n`{hook.__name__}{signature}`\n\n{inspect.getdoc(hook)}\n\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(hooks_page())
