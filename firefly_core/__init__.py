"""Firefly: a declarative, plugin-based game service framework.

The names that a handler module needs are handed out lazily, so that importing this package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firefly_core.errors import Refuse
    from firefly_core.kernel.handlers.context import Context
    from firefly_core.kernel.handlers.marks import (
        Push,
        command,
        cron,
        every,
        on_connect,
        on_disconnect,
        on_login,
        on_start,
        on_stop,
        push,
        remote,
    )
    from firefly_core.kernel.hookspecs import hookimpl

__version__ = "0.1.0"
__all__ = [
    "Context",
    "Push",
    "Refuse",
    "__version__",
    "command",
    "cron",
    "every",
    "hookimpl",
    "on_connect",
    "on_disconnect",
    "on_login",
    "on_start",
    "on_stop",
    "push",
    "remote",
]

_HOMES = {
    "Context": "firefly_core.kernel.handlers.context",
    "Refuse": "firefly_core.errors",
    "hookimpl": "firefly_core.kernel.hookspecs",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES.get(name, "firefly_core.kernel.handlers.marks")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
