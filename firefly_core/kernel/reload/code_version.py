"""CodeVersion: which code a server runs, and since when."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["CodeVersion"]

DIGITS = 12


@attrs.frozen(kw_only=True)
class CodeVersion:
    """The version of one server's code; `hash` is the same wherever the sources are."""

    hash: str
    since: float
    """When it was taken, in seconds since 1970."""
    reloads: int = 0
    """How many reloads there were since the process began."""

    @classmethod
    def of(cls, digests: Mapping[str, str], since: float, reloads: int = 0) -> CodeVersion:
        """Give the version of modules with these sources."""
        text = "\n".join(f"{name} {digests[name]}" for name in sorted(digests))
        return cls(hash=hashlib.sha256(text.encode()).hexdigest()[:DIGITS], since=since, reloads=reloads)

    def plain(self) -> dict[str, Any]:
        """Give it as plain values."""
        return attrs.asdict(self)
