"""Remotes of this server: arguments checked, run with the caller's deadline, result made plain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from firefly_core.errors import PayloadError
from firefly_core.kernel.handlers.context import HandlerContext
from firefly_core.kernel.handlers.handlers import Handler

if TYPE_CHECKING:
    from firefly_core.kernel.kernel import Kernel

__all__ = ["plain", "run_remote"]

SCALARS = frozenset({bool, bytes, float, int, str, type(None)})
"""Classes whose values are what they are on both sides."""


def plain(value: Any) -> Any:
    """Give `value` as what MessagePack can hold: attrs objects become maps. Raises TypeError."""
    if value.__class__ in SCALARS:
        return value
    return msgspec.to_builtins(value, builtin_types=(bytes, bytearray, memoryview))


def run_remote(
    kernel: Kernel, handler: Handler, params: Sequence[Any], *, deadline: float | None, trace: str | None
) -> Any:
    """Run a remote here and give its plain result; raises PayloadError, or what the handler raises."""
    count = len(params)
    if not handler.required <= count <= len(handler.parameters):
        needs = f"{handler.required} to {len(handler.parameters)}" if handler.parameters else "no"
        raise PayloadError(f"{handler.name} takes {needs} arguments, got {count}")
    arguments = [_convert(index, value, handler) for index, value in enumerate(params)]
    function: Callable[..., Any] = kernel.callable(handler)
    return plain(function(HandlerContext(kernel, handler, None, deadline, trace), *arguments))


def _convert(index: int, value: Any, handler: Handler) -> Any:
    declared = handler.parameters[index]
    if declared is Any or (declared is value.__class__ and declared in SCALARS):
        return value
    try:
        return msgspec.convert(value, declared)
    except msgspec.ValidationError as error:
        raise PayloadError(f"argument {index + 1} of {handler.name}: {error}") from error
