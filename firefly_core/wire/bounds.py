"""How large and how deep a value from outside may be, and the walk that finds out.

A frame bounds the bytes, not what they become: 64 KiB of MessagePack may be 65,535 empty maps, 8 KiB of nested arrays
cost a decoder 44 MiB. So whoever decodes what clients or peers sent checks the value with `CLIENT` or `PEER`.
"""

from __future__ import annotations

import math
from typing import Any

import attrs

from firefly_core.errors import PayloadError

__all__ = ["CLIENT", "PEER", "Bounds"]

SHOWN = 40
LOOKED_AT = frozenset({dict, list, tuple, float})


class _Fault(Exception):
    """What is wrong; the walk adds where, from the inside out, so that a good value pays for no path."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.path = ""

    def under(self, step: str) -> None:
        self.path = step + self.path


@attrs.frozen(kw_only=True)
class Bounds:
    """The caps on a value of plain maps, arrays, strings and numbers."""

    array: int
    """Items in one array."""
    map: int
    """Entries in one map."""
    depth: int
    """Arrays and maps inside one another."""
    int_keys: bool
    """Whether a map's keys may be integers beside strings."""
    finite: bool
    """Whether NaN and the infinities are refused."""

    def check(self, value: Any, *, keys: bool = True) -> None:
        """Raise PayloadError, with the path to it, if anything in `value` is too large, too deep or of a wrong kind.

        With `keys=False` the maps' keys may be of every kind, and are checked as values are.
        """
        try:
            if value.__class__ in LOOKED_AT:
                self._walk(value, self.depth, keys)
        except _Fault as fault:
            raise PayloadError(f"{fault.what} - at `${fault.path}`") from None

    def _walk(self, value: Any, depth: int, keys: bool) -> None:
        kind = value.__class__
        if kind is float:
            if self.finite and not math.isfinite(value):
                raise _Fault("a finite number is needed")
        elif depth == 0:
            raise _Fault(f"nested deeper than {self.depth}")
        elif kind is dict:
            self._walk_map(value, depth - 1, keys)
        else:
            self._walk_array(value, depth - 1, keys)

    def _walk_array(self, value: Any, depth: int, keys: bool) -> None:
        if len(value) > self.array:
            raise _Fault(f"an array of {len(value)} items, {self.array} are allowed")
        for index, item in enumerate(value):
            if item.__class__ in LOOKED_AT:
                try:
                    self._walk(item, depth, keys)
                except _Fault as fault:
                    fault.under(f"[{index}]")
                    raise

    def _walk_map(self, value: Any, depth: int, keys: bool) -> None:
        if len(value) > self.map:
            raise _Fault(f"a map of {len(value)} entries, {self.map} are allowed")
        for name, item in value.items():
            if not keys:
                if name.__class__ in LOOKED_AT:
                    self._walk(name, depth, keys)
            elif name.__class__ is not str and not (self.int_keys and name.__class__ is int):
                raise _Fault("keys must be strings or integers" if self.int_keys else "keys must be strings")
            if item.__class__ in LOOKED_AT:
                try:
                    self._walk(item, depth, keys)
                except _Fault as fault:
                    fault.under(f".{str(name)[:SHOWN]}")
                    raise


CLIENT = Bounds(array=1024, map=512, depth=32, int_keys=False, finite=True)
PEER = Bounds(array=65536, map=65536, depth=32, int_keys=True, finite=False)
