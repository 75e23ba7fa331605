"""Switches: the commands and remotes that are switched off, kept in a file so that they stay off over every restart."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

__all__ = ["KINDS", "NAME", "Switch", "Switches", "read_switches"]

KINDS = ("command", "remote")
"""What can be switched off."""
NAME = "admin.switches"
MOST = 10_000

Switch = tuple[str, str]
"""Kind and name of what is off."""


def read_switches(path: Path, log: logging.Logger) -> frozenset[Switch]:
    """Give what a file says is off; one that cannot be read is told in the log, and nothing is off."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=list[tuple[str, str]])
    except FileNotFoundError:
        return frozenset()
    except (OSError, msgspec.MsgspecError) as error:
        log.error("%s cannot be read, everything is switched on: %s", path, error)
        return frozenset()
    return frozenset(pair for pair in found[:MOST] if pair[0] in KINDS)


class Switches:
    """The wanted state, which belongs to the admin server; the others are told, and told again when they forget."""

    def __init__(self, path: Path, log: logging.Logger) -> None:
        self._path = path
        self._log = log
        self.off = read_switches(path, log)

    def turn(self, pairs: Iterable[Switch], *, off: bool) -> None:
        """Switch off, or on again; raises OSError when it could not be written down, and nothing is changed then."""
        wanted = self.off | frozenset(pairs) if off else self.off - frozenset(pairs)
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(msgspec.json.encode(sorted(wanted)))
        draft.replace(self._path)
        self.off = wanted
