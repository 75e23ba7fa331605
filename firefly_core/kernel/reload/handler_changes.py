"""Handler changes: what callers of the old handlers could not do with the new ones.

Both are compared by their *shapes*, plain values that a throw-away process can print.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from firefly_core.kernel.handlers.handlers import Handler, HandlerTable

__all__ = ["broken_promises", "shape_of"]

ANYTHING = "anything"
Shape = Mapping[str, Any]


def shape_of(table: HandlerTable) -> dict[str, Any]:
    """Give what callers must know of commands (by id, as a text) and remotes (by name)."""
    return {
        "command": {str(handler.id): _shape(handler) for handler in table.commands.values()},
        "remote": {name: _shape(handler) for name, handler in table.remotes.items()},
    }


def broken_promises(old: Shape, new: Shape) -> list[str]:
    """Give each way in which what clients and servers send today would be refused by the new handlers, with its place.

    A command or remote that is gone, renamed or takes other arguments, and a request that needs what nobody sends yet.
    """
    return [
        text
        for kind in ("command", "remote")
        for key, before in old[kind].items()
        for text in _compared(kind, key, before, new[kind].get(key))
    ]


def _shape(handler: Handler) -> dict[str, Any]:
    return {
        "name": handler.name,
        "source": handler.source,
        "least": handler.required,
        "takes": [_shown(each) for each in handler.parameters],
        "fields": [_fields(each) for each in handler.parameters],
    }


def _compared(kind: str, key: str, before: Shape, after: Shape | None) -> Iterator[str]:
    what = f"{kind} {key}" if kind == "remote" else f"{kind} {key} ({before['name']})"
    if after is None:
        yield f"{before['source']}: {what} is gone"
        return
    if after["name"] != before["name"]:
        yield f"{after['source']}: {what} is called {after['name']} now"
    if fault := _fault(before, after):
        yield f"{after['source']}: {what} {fault}"


def _fault(before: Shape, after: Shape) -> str | None:
    if after["least"] > before["least"] or len(after["takes"]) < len(before["takes"]):
        return f"takes {_count(after)} where it took {_count(before)}"
    for index, (was, now) in enumerate(zip(before["takes"], after["takes"], strict=False)):
        had, has = before["fields"][index], after["fields"][index]
        if had is not None and has is not None:
            fresh = sorted(name for name, needed in has.items() if needed and name not in had)
            if fresh:
                return f"needs {', '.join(fresh)}, which nobody sends yet"
        elif was != now != ANYTHING:
            return f"takes {now} where it took {was}"
    return None


def _fields(declared: Any) -> dict[str, bool] | None:
    """Give the fields of a request's class, each with whether it must be sent."""
    if not attrs.has(declared):
        return None
    return {field.name: field.default is attrs.NOTHING for field in attrs.fields(declared) if field.init}


def _shown(declared: Any) -> str:
    if declared is Any:
        return ANYTHING
    return declared.__qualname__ if isinstance(declared, type) else str(declared)


def _count(shape: Shape) -> str:
    most, least = len(shape["takes"]), shape["least"]
    count = str(most) if least == most else f"{least} to {most}"
    return f"{count} argument{'' if count == '1' else 's'}"
