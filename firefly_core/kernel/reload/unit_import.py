"""Unit import: run the code of a unit's modules, and say where it went wrong, within a limit of time."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Collection, Iterable
from types import ModuleType

from firefly_core.errors import ConfigurationError
from firefly_core.kernel.reload.code_unit import CodeUnit
from firefly_core.kernel.reload.cut import Raised, cut

__all__ = ["CRASHED", "LIMIT", "import_unit", "place_of"]

LIMIT = 4.0
"""Seconds that all modules of a unit may take: less than a rehearsal as a whole, so that it can say where they hang."""
CRASHED = 1
"""What a process exits with that hangs in such code and cannot be cut: starting it again helps."""


def import_unit(unit: CodeUnit, others: Iterable[str], paths: Collection[str]) -> list[ModuleType]:
    """Import the unit's modules of handlers, and then `others`, but for those that are there no more.

    Gives the modules of handlers. `paths` are the files that were read so far, by which a fault's place is told from
    the libraries that it went through. Raises ConfigurationError with what went wrong and where.
    """
    at = ""

    def run() -> list[ModuleType]:
        nonlocal at
        found = []
        for at in unit.handlers:
            found.append(importlib.import_module(at))
        for at in others:
            try:
                importlib.import_module(at)
            except ModuleNotFoundError as error:
                if error.name != at:
                    raise
        return found

    try:
        return cut("a reload", run, limit=LIMIT, status=CRASHED)
    except Raised as raised:
        place = place_of(raised, paths)
        where = f"{place}: " if place else ""
        raise ConfigurationError([f"{where}module {at!r} cannot be imported: {raised}"]) from None


def place_of(raised: Raised, paths: Collection[str]) -> str:
    """Give `file:line` of the innermost line of one of these files, or else of whatever is no part of Python."""
    error = raised.__cause__ or raised.__context__
    if error is None or isinstance(error, SyntaxError):
        return ""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [frame for frame in frames if frame[0] in paths]
    if not own:
        own = [frame for frame in frames if not frame[0].startswith("<frozen") and not _is_ours(frame[0])]
    return f"{own[-1][0]}:{own[-1][1]}" if own else ""


def _is_ours(path: str) -> bool:
    return path == __file__ or path.endswith(("kernel/reload/cut.py", "importlib/__init__.py"))
