"""ReloadReport: what came of a reload, for people and for programs."""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["ReloadReport"]


@attrs.frozen(kw_only=True)
class ReloadReport:
    """With `problems` nothing was changed."""

    problems: tuple[str, ...] = ()
    """What is wrong and where, one text each."""
    taken: bool = False
    """Whether the new code is in force."""
    made: int = 0
    """How many modules were made anew."""
    changed: tuple[str, ...] = ()
    """Those of them whose source is another."""
    restart: tuple[str, ...] = ()
    """Modules that stayed as they are although their sources are others now: a restart is needed for them."""
    notes: tuple[str, ...] = ()
    """What is allowed and worth knowing."""
    seconds: float = 0.0
    """How long the process was held up."""

    def plain(self) -> dict[str, Any]:
        """Give it as plain values, for a pipe."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in attrs.asdict(self).items()}
